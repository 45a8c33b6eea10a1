import { expect, test } from 'vitest';
import { credentialId } from '../security/credential-id.ts';
import { Secret } from '../security/secret.ts';
import { credentialRefs } from './credential-refs.ts';
import type { ProviderSettings } from './settings.ts';

test('credentials are named by their secrets; a stored one, whose secret was not read, by its name', () => {
  const secret = new Secret('sk-one');
  const provider = {
    credentials: [
      { name: 'A', account: 'main', source: { kind: 'fixed', secret } },
      { name: '/run/b', account: 'main', source: { kind: 'file', path: '/run/b', secret } },
      { name: 'c', account: 'backup', source: { kind: 'stored' } },
    ],
  } as const satisfies Partial<ProviderSettings>;
  expect(credentialRefs(provider as unknown as ProviderSettings)).toEqual([
    { id: credentialId('A', secret), account: 'main' },
    { id: credentialId('/run/b', secret), account: 'main' },
    { id: 'c', account: 'backup' },
  ]);
});

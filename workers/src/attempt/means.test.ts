import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import type { OpenPlaces } from '@waybill/shared/routing/pauses.ts';
import { Secret } from '@waybill/shared/security/secret.ts';
import { expect, test } from 'vitest';
import type { Credential } from '../credentials.ts';
import type { WorkerContext } from '../worker-context.ts';
import { pickCredential } from './means.ts';

const credential = (name: string, account: string): Credential => ({
  id: `${name}#1`,
  name,
  account,
  secret: new Secret(name),
});
const all = [credential('a1', 'a'), credential('a2', 'a'), credential('b1', 'b')];

const pick = (account: string, { usable = all, random = 0 }: { usable?: readonly Credential[]; random?: number }) => {
  const open: OpenPlaces = { places: [], credentials: usable, closedUntilMs: null, closedBy: null };
  const context = { credentials: { of: () => all }, random: () => random } as unknown as WorkerContext;
  return pickCredential({} as ProviderSettings, account, open, context)?.name ?? null;
};

test.for([
  ['the first of two, when chance says so', 'a', {}, 'a1'],
  ['the second, when chance says so', 'a', { random: 0.999 }, 'a2'],
  ['the only one of its account', 'b', { random: 0.999 }, 'b1'],
  ['the one that is not paused', 'a', { usable: [all[1] as Credential] }, 'a2'],
  ['none, when all of the account are paused', 'a', { usable: [all[2] as Credential] }, null],
  ['none, where the server asks for none', 'default', {}, null],
] as const)('a call of an account takes %s', ([, account, given, expected]) => {
  expect(pick(account, given)).toBe(expected);
});

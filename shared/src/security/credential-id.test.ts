import { expect, test } from 'vitest';
import { credentialId } from './credential-id.ts';
import { Secret } from './secret.ts';

const idOf = (name: string, secret: string) => credentialId(name, new Secret(secret));

test('a credential is called by its name and eight digits that its secret decides', () => {
  expect(idOf('OPENAI_API_KEY', 'sk-one')).toMatch(/^OPENAI_API_KEY#[0-9a-f]{8}$/);
  expect(idOf('OPENAI_API_KEY', 'sk-one')).toBe(idOf('OPENAI_API_KEY', 'sk-one'));
});

test('a fresh secret of the same name is another credential', () => {
  const ids = Array.from({ length: 100 }, (_, n) => idOf('KEY', `sk-${n}`));
  expect(new Set(ids).size).toBe(100);
});

test('the same secret under two names is two credentials', () => {
  expect(idOf('A', 'sk-one')).not.toBe(idOf('B', 'sk-one'));
});

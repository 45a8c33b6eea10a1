import { expect, test } from 'vitest';
import { pauseScopes } from '../domain/failure.ts';
import { pauseScopeKey } from '../routing/pauses.ts';
import { providerOfScope } from './scope.ts';

test.for<[string, string]>([
  ['model:openai/gpt-4.1-mini', 'openai'],
  ['model:openrouter/meta/llama:free', 'openrouter'],
  ['credential:openai', 'openai'],
  ['credential:openai/OPENAI_API_KEY#1a2b3c4d', 'openai'],
  ['account_model:groq/main/org/model:1', 'groq'],
  ['provider:lm-studio', 'lm-studio'],
])('%s belongs to %s', ([scope, provider]) => {
  expect(providerOfScope(scope)).toBe(provider);
});

test.for(pauseScopes)('the scope of a failure of one %s is of its provider', (scope) => {
  const subject = { target: 'groq/org/model:1', account: 'main', credentialId: 'KEY#1a2b3c4d', endpoint: 2 };
  expect(providerOfScope(pauseScopeKey(scope, subject))).toBe('groq');
});

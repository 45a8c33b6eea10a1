import { expect, test } from 'vitest';
import { pauseScopeKey } from '../routing/target-facts.ts';
import { providerOfScope } from './scope.ts';

test.for<[string, string]>([
  ['model:openai/gpt-4.1-mini', 'openai'],
  ['model:openrouter/meta/llama:free', 'openrouter'],
  ['credential:openai', 'openai'],
  ['provider:lm-studio', 'lm-studio'],
])('%s belongs to %s', ([scope, provider]) => {
  expect(providerOfScope(scope)).toBe(provider);
});

test.for(['model', 'credential', 'provider'] as const)('the scope of a %s is of its provider', (kind) => {
  expect(providerOfScope(pauseScopeKey(kind, 'groq/org/model:1'))).toBe('groq');
});

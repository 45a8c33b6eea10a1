import { expect, test } from 'vitest';
import { Secret } from '../../security/secret.ts';
import { callInput } from '../fixture-call.ts';
import { addressOf, headersOf } from './address.ts';

const resource = 'https://x.openai.azure.com';
const addressWith = (endpoint: string, apiVersion: string | null, model = 'my-gpt') =>
  addressOf(callInput({}, { endpoint, apiVersion, model }), 'chat/completions');

const asCopied = [
  resource,
  `${resource}/`,
  `${resource}/openai`,
  `${resource}/openai/v1`,
  `${resource}/openai/v1/`,
  `${resource}/openai/deployments/other`,
  `${resource}/openai/deployments/other/chat/completions?api-version=2024-02-01`,
];

test.for(asCopied)('without a version, %s leads to the paths of OpenAI', (endpoint) => {
  expect(addressWith(endpoint, null)).toBe(`${resource}/openai/v1/chat/completions`);
});

test.for(asCopied)('with a dated version, %s leads to the deployment', (endpoint) => {
  expect(addressWith(endpoint, '2024-10-21')).toBe(
    `${resource}/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21`,
  );
});

test.for([
  [
    'preview features keep the paths of OpenAI',
    'preview',
    `${resource}/openai/v1/chat/completions?api-version=preview`,
  ],
  [
    'a dated preview is a dated version',
    '2025-04-01-preview',
    `${resource}/openai/deployments/my-gpt/chat/completions?api-version=2025-04-01-preview`,
  ],
] as const)('%s', ([, apiVersion, expected]) => {
  expect(addressWith(resource, apiVersion)).toBe(expected);
});

test('a gateway in front keeps its own path', () => {
  expect(addressWith('https://gateway.test/team-a/openai/v1', null)).toBe(
    'https://gateway.test/team-a/openai/v1/chat/completions',
  );
});

test('a name cannot leave its place in the path', () => {
  expect(addressWith(resource, '2024-10-21', '../a b?c')).toContain('/deployments/..%2Fa%20b%3Fc/chat/');
});

test.for<[string, string | null, object]>([
  ['a key of the resource', '0123456789abcdef0123456789abcdef', { 'api-key': '0123456789abcdef0123456789abcdef' }],
  ['a key with other signs', 'sk-test_1.x', { 'api-key': 'sk-test_1.x' }],
  ['an Entra token', 'eyJh-b_c.eyJk.c2ln', { authorization: 'Bearer eyJh-b_c.eyJk.c2ln' }],
  ['nobody', null, {}],
])('who calls is said by the header of %s', ([, credential, expected]) => {
  const wire = { credential: credential === null ? null : new Secret(credential) };
  expect(headersOf(wire)).toEqual({ 'content-type': 'application/json', ...expected });
});

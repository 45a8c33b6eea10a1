import { expect, test } from 'vitest';
import { Secret } from '../../security/secret.ts';
import { authHeaders } from './auth-headers.ts';
import { listUrl } from './list-url.ts';

const secret = new Secret('sk-1');

test.for([
  ['openai', 'https://api.test/v1', null, 'https://api.test/v1/models'],
  ['openai', 'https://api.test/v1/', 'ignored', 'https://api.test/v1/models'],
  ['anthropic', 'https://api.test/v1', null, 'https://api.test/v1/models?limit=1000'],
  ['anthropic', 'https://api.test/v1', 'claude-a', 'https://api.test/v1/models?limit=1000&after_id=claude-a'],
  ['gemini', 'https://api.test/v1beta', null, 'https://api.test/v1beta/models?pageSize=1000'],
  ['gemini', 'https://api.test/v1beta', 'a b&c=', 'https://api.test/v1beta/models?pageSize=1000&pageToken=a+b%26c%3D'],
  ['cohere', 'https://api.test', null, 'https://api.test/v1/models?page_size=1000'],
  ['cohere', 'https://api.test/v2', 'x', 'https://api.test/v1/models?page_size=1000&page_token=x'],
  ['ollama', 'http://127.0.0.1:11434', null, 'http://127.0.0.1:11434/api/tags'],
  ['none', 'https://api.test', null, null],
] as const)('the list %s of %s is asked, from %s, at %s', ([listing, endpoint, page, expected]) => {
  expect(listUrl(listing, endpoint, page)).toBe(expected);
});

test.for([
  ['openai', secret, null, { authorization: 'Bearer sk-1' }],
  ['openai', null, null, {}],
  ['anthropic', secret, null, { 'anthropic-version': '2023-06-01', 'x-api-key': 'sk-1' }],
  ['anthropic', secret, '2026-10-21', { 'anthropic-version': '2026-10-21', 'x-api-key': 'sk-1' }],
  ['gemini', secret, null, { 'x-goog-api-key': 'sk-1' }],
  ['azure-openai', secret, '2024-10-21', { 'api-key': 'sk-1' }],
  ['cohere', secret, null, { authorization: 'Bearer sk-1' }],
  ['ollama', secret, null, { authorization: 'Bearer sk-1' }],
  ['ollama', null, null, {}],
] as const)('%s proves who asks', ([dialect, credential, apiVersion, expected]) => {
  expect(authHeaders(dialect, credential, apiVersion)).toEqual(expected);
});

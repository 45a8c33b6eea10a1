/** Faults of what a provider with several accounts and addresses, and its own headers and quirks, may be given. */
import { expect, test } from 'vitest';
import { faultsOf } from '../domain/strict-object.ts';
import { configSchema } from './schema.ts';

function faultsIn(file: unknown) {
  const parsed = configSchema.safeParse(file);
  return parsed.success ? [] : faultsOf(parsed.error).map(({ path, code, message }) => ({ path, code, message }));
}
const inProvider = (change: object) => faultsIn({ providers: { p: change } });
const ofCredential = (change: object) => ({ credentials: [change] });
const ofModel = (change: object) => ({ models: { m: change } });

test.for<[string, object, string, RegExp]>([
  [
    'an account with a space',
    ofCredential({ env: 'A', account: 'my account' }),
    'credentials[0].account',
    /1 to 64 of/,
  ],
  ['an account with a slash', ofCredential({ env: 'A', account: 'a/b' }), 'credentials[0].account', /1 to 64 of/],
  ['an account with a bar', ofCredential({ env: 'A', account: 'a|b' }), 'credentials[0].account', /1 to 64 of/],
  ['an account with an @', ofCredential({ env: 'A', account: 'a@2' }), 'credentials[0].account', /1 to 64 of/],
  ['an empty account', ofCredential({ env: 'A', account: '' }), 'credentials[0].account', /1 to 64 of/],
  ['a stored name with a slash', ofCredential({ stored: 'a/b' }), 'credentials[0].stored', /1 to 64 of/],
  ['three sources', ofCredential({ env: 'A', file: '/a', stored: 'a' }), 'credentials[0]', /env, file or stored/],
  ['an account alone', ofCredential({ account: 'a' }), 'credentials[0]', /env, file or stored/],
  ['33 credentials', { credentials: Array(33).fill({ env: 'A' }) }, 'credentials', /<=32/],
  ['17 endpoints', { endpoints: Array(17).fill('http://a') }, 'endpoints', /<=16/],
  ['an endpoint twice', { endpoints: ['http://a/', { url: 'http://a' }] }, 'endpoints', /named twice/],
  [
    'a header of Waybill itself',
    { headers: { 'Content-Length': '1' } },
    'headers.Content-Length',
    /written by Waybill/,
  ],
  ['the header host', { headers: { host: 'a' } }, 'headers.host', /written by Waybill/],
  ['a header with a space', { headers: { 'x y': '1' } }, 'headers.x y', /1 to 64 of/],
  ['a header that breaks the line', { headers: { 'x\r\ny': '1' } }, 'headers.x\r\ny', /1 to 64 of/],
  ['a header that is a number', { headers: { x: 1 } }, 'headers.x', /string/],
  ['an api_version with a query', { api_version: '2024&x=1' }, 'api_version', /expected a version/],
  ['an empty organization', { organization: '' }, 'organization', />=1/],
  ['a quirk nobody knows the value of', { quirks: { json_mode: 'xml' } }, 'quirks.json_mode', /json_object/],
  ['efforts that are none', { quirks: { efforts: [] } }, 'quirks.efforts', />=1/],
  ['a health without an interval', { health: { every: '0s' } }, 'health.every', /from 1s/],
  ['a success rate beyond one', { health: { least_success_rate: 1.5 } }, 'health.least_success_rate', /<=1/],
  ['a probe in words', { health: { probe: 'yes' } }, 'health.probe', /boolean/],
  ['an empty deployment', ofModel({ deployment: '' }), 'models.m.deployment', />=1/],
  ['defaults out of range', ofModel({ defaults: { temperature: 3 } }), 'models.m.defaults.temperature', /<=2/],
  [
    'defaults that change the conversation',
    ofModel({ defaults: { messages: [] } }),
    'models.m.defaults',
    /unknown field "messages"/,
  ],
  [
    'defaults that change the model',
    ofModel({ defaults: { model: 'x' } }),
    'models.m.defaults',
    /unknown field "model"/,
  ],
])('%s is a fault that says what is allowed', ([, change, path, message]) => {
  expect(inProvider(change)).toEqual([
    { path: `providers.p.${path}`, code: expect.any(String), message: expect.stringMatching(message) },
  ]);
});

test.for<[string, object]>([
  ['without an address', { concurrency: 2 }],
  ['of no calls', { url: 'http://a', concurrency: 0 }],
  ['with a field of a provider', { url: 'http://a', labels: ['x'] }],
  ['of another scheme', { url: 'ftp://a' }],
])('an endpoint %s is a fault', ([, endpoint]) => {
  const faults = inProvider({ endpoints: ['http://b', endpoint] });
  expect(faults).not.toEqual([]);
  for (const { path } of faults) expect(path).toMatch(/^providers\.p\.endpoints\[1\]/);
});

test.for<[string, object, string]>([
  ['on_length', { on_length: 'retry' }, 'chains.c.on_length'],
  ['resume', { resume: 'maybe' }, 'chains.c.resume'],
])('an unknown %s is a fault', ([, change, path]) => {
  expect(faultsIn({ chains: { c: { targets: ['p/m'], ...change } } })).toMatchObject([{ path }]);
});

test('a value that is refused is not repeated: it may be a secret', () => {
  const faults = inProvider({ headers: { 'x y': 'sk-canary' }, credentials: [{ env: 'A', account: 'x y' }] });
  expect(faults).toHaveLength(2);
  expect(JSON.stringify(faults)).not.toContain('canary');
});

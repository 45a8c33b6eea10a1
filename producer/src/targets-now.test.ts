import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import { expect, test } from 'vitest';
import { targetsNow } from './targets-now.ts';

const parsed = parseEnvironment({});
if (parsed.kind === 'faults') throw new Error('the empty environment is valid');
const { environment } = parsed;
const cloud = { preset: 'openai', base_url: 'http://127.0.0.1:1/v1', api_key: 'test' };
const file = {
  providers: { one: cloud, two: { ...cloud, labels: ['eu'] }, home: { ...cloud, labels: ['local'] } },
  chains: { mine: { targets: ['one/m', 'two/m'] } },
};
const state = {
  ...{ pauses: new Map(), breakers: new Map(), usual: new Map(), throughput: new Map(), switches: new Map() },
  ...{ windows: new Map(), credentialsOf: () => [{ id: 'k#1', account: 'default' }] },
} as unknown as Parameters<typeof targetsNow>[3];
const job = {
  ...{ tenant_id: 'ten_acme', require: [], exclude_providers: [], estimated_tokens: 100, estimated_output: 10 },
  ...{ chain: 'mine', requested_model: 'mine', targets: ['home/m', 'one/m'], endpoint: '/v1/chat/completions' },
};
const seen = (change: object = {}, of: object = {}) =>
  targetsNow({ ...job, ...of }, null, settingsOf({ ...file, ...change }, environment, 'the test'), state, 0).map(
    (each) => `${each.target} ${each.kind === 'eligible' ? 'eligible' : each.reason}`,
  );

test('its own come first, then those its chain has besides', () => {
  expect(seen()).toEqual(['home/m eligible', 'one/m eligible', 'two/m eligible']);
  expect(seen({ chains: {} })).toEqual(['home/m eligible', 'one/m eligible']);
  expect(seen({}, { chain: null, requested_model: 'one/m', targets: ['one/m'] })).toEqual(['one/m eligible']);
});

test('what its tenant and the configuration want by now stands against them as it does when it is called', () => {
  const wants = (acme: object) => seen({ tenants: { acme } });
  expect(wants({ exclude_providers: ['home'] })[0]).toBe('home/m excluded');
  expect(wants({ require: ['eu'] })).toEqual(['home/m label', 'one/m label', 'two/m eligible']);
  expect(seen({ privacy: { cloud: 'off' } })).toEqual(['home/m eligible', 'one/m label', 'two/m label']);
});

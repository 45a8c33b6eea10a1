/** The operator's side over HTTP: providers seen and switched, credentials kept, events read. */
import type { CredentialJson } from '@waybill/producer/routes/admin/credentials.ts';
import type { ProviderJson } from '@waybill/producer/routes/admin/provider-json.ts';
import type { EventList } from '@waybill/producer/routes/events.ts';
import { addApiKey, defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, exchange } from '../support/http-exchange.ts';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

const canary = 'sk-canary-1c5e7a90';
const refusedSecret = 'sk-refused-3b2d';
let waybill: TestWaybill;
let first: ScriptedProvider;
let second: ScriptedProvider;
let userKey: string;

beforeAll(async () => {
  first = await startScriptedProvider((request) =>
    request.headers.authorization === `Bearer ${refusedSecret}` ? refuse(401) : say('from the first'),
  );
  second = await startScriptedProvider(() => say('from the second'));
  const preset = 'openai-compatible';
  const health = { probe: false };
  waybill = await startWaybill({
    config: {
      providers: {
        first: {
          preset,
          base_url: `${first.url}/v1`,
          credentials: [{ stored: 'first-key', account: 'main' }],
          headers: { 'x-team': canary },
          health,
        },
        second: { preset, base_url: `${second.url}/v1`, health },
        idle: { preset, endpoints: ['http://127.0.0.1:9/v1', 'http://127.0.0.1:9/v2'], labels: ['eu'], health },
        ill: { preset, endpoints: ['http://127.0.0.1:9/v1', 'http://127.0.0.1:9/v2'], health },
      },
      chains: { default: { targets: ['first/m', 'second/m'] } },
    },
  });
  const key = await addApiKey(waybill.server.database, {
    tenantId: defaultTenantId,
    name: 'a user',
    scopes: ['jobs:write', 'jobs:read'],
  });
  userKey = key.text;
});
afterAll(async () => {
  await waybill?.stop();
  await Promise.all([first?.stop(), second?.stop()]);
});

const send = (method: string, path: string, body?: unknown, key = waybill.adminKey): Promise<Answer> =>
  exchange(waybill.url, key, { method, path, body });
async function ok<T>(method: string, path: string, body?: unknown): Promise<T> {
  const { status, text } = await send(method, path, body);
  expect({ status, text }).toMatchObject({ status: 200 });
  return JSON.parse(text) as T;
}
async function problem(method: string, path: string, body?: unknown, key?: string) {
  const { status, text } = await send(method, path, body, key);
  return { status, ...(JSON.parse(text) as { error: { code: string; message: string; param: string | null } }).error };
}
const provider = (id: string) => ok<ProviderJson>('GET', `/admin/v1/providers/${id}`);
const credentials = async () => (await ok<{ data: CredentialJson[] }>('GET', '/admin/v1/credentials')).data;
const textOfJob = async (): Promise<string | null> => {
  const { id } = await waybill.client.submit({ model: 'default', prompt: 'hello' });
  return (await whenFinal(waybill.client, id)).output_text;
};
const store = (secret: string) => ok<CredentialJson>('PUT', '/admin/v1/credentials/first-key', { secret });

const routes: readonly [string, string][] = [
  ['GET', '/admin/v1/providers'],
  ['GET', '/admin/v1/providers/first'],
  ['POST', '/admin/v1/providers/first/enable'],
  ['POST', '/admin/v1/providers/first/disable'],
  ['POST', '/admin/v1/providers/first/reset'],
  ['GET', '/admin/v1/credentials'],
  ['PUT', '/admin/v1/credentials/x'],
  ['DELETE', '/admin/v1/credentials/x'],
  ['GET', '/v1/events'],
];

describe('who may', () => {
  test.for(routes)('%s %s is for admins', async ([method, path]) => {
    expect(await problem(method, path, undefined, userKey)).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect(await problem(method, path, undefined, 'wrong')).toMatchObject({ status: 401 });
  });

  test.for(routes)('%s %s refuses a query it does not know', async ([method, path]) => {
    const body = method === 'PUT' ? { secret: 'x' } : undefined;
    const refusal = await problem(method, `${path}?limt=1`, body);
    expect(refusal).toMatchObject({ status: 400, code: 'invalid_query', param: 'limt' });
  });

  test.for<[string, string, string]>([
    ['POST', '/admin/v1/providers', 'GET'],
    ['DELETE', '/admin/v1/providers/first', 'GET'],
    ['GET', '/admin/v1/providers/first/enable', 'POST'],
    ['POST', '/admin/v1/credentials', 'GET'],
    ['GET', '/admin/v1/credentials/x', 'DELETE, PUT'],
    ['POST', '/v1/events', 'GET'],
  ])('%s %s names the methods there are', async ([method, path, allowed]) => {
    const answer = await send(method, path);
    expect([answer.status, answer.headers.allow]).toEqual([405, allowed]);
  });

  test('the rest of the admin API says that it comes later', async () => {
    expect(await problem('GET', '/admin/v1/costs')).toMatchObject({ status: 400, code: 'not_supported_yet' });
  });
});

describe('providers', () => {
  test('all are listed, and what nobody has seen is unknown', async () => {
    const { data } = await ok<{ data: ProviderJson[] }>('GET', '/admin/v1/providers');
    expect(data.map(({ id }) => id)).toEqual(['first', 'second', 'idle', 'ill']);
    expect(data[2]).toMatchObject({
      preset: 'openai-compatible',
      dialect: 'openai',
      status: 'unknown',
      enabled: true,
      enabled_by: 'configuration',
      labels: ['eu'],
      chains: [],
      endpoints: [
        {
          url: 'http://127.0.0.1:9/v1',
          status: 'unknown',
          success_rate: null,
          latency_p50_ms: null,
          availability: null,
        },
        { url: 'http://127.0.0.1:9/v2', status: 'unknown' },
      ],
    });
    expect(data[0]).toMatchObject({
      models: ['m'],
      chains: ['default'],
      credentials: [{ name: 'first-key', account: 'main', source: 'stored' }],
    });
  });

  test('what the fleet has seen of an address is told', async () => {
    await waybill.server.database.kysely
      .insertInto('waybill.provider_health')
      .values({
        provider: 'ill',
        endpoint: 2,
        status: 'unhealthy',
        checked_at: new Date(),
        consecutive_failures: 3,
        calls: [40, 20, -1, 30],
        healthy_s: 30,
        watched_s: 60,
        last_failure: 'timeout',
        facts: null,
      })
      .execute();
    const seen = await provider('ill');
    expect(seen.status).toBe('unhealthy');
    expect(seen.endpoints[1]).toMatchObject({
      status: 'unhealthy',
      success_rate: 0.75,
      calls: 4,
      latency_p50_ms: 30,
      latency_p95_ms: 40,
      availability: 0.5,
      consecutive_failures: 3,
      last_failure: 'timeout',
    });
  });

  test.for<[string, RegExp]>([
    ['fist', /did you mean "first"\?/],
    ['nothing-like-it', /configured are first, second, idle, ill/],
    ['constructor', /Cannot find/],
  ])('"%s" is none, and the nearest is named', async ([id, message]) => {
    for (const [method, path] of [
      ['GET', `/admin/v1/providers/${id}`],
      ['POST', `/admin/v1/providers/${id}/disable`],
    ] as const) {
      const refusal = await problem(method, path);
      expect(refusal).toMatchObject({ status: 404, code: 'not_found', param: 'id' });
      expect(refusal.message).toMatch(message);
    }
  });

  test('one that is switched off gets no job, until it is switched on or reset', async () => {
    await store('sk-good');
    await eventually(textOfJob, (text) => text === 'from the first');
    const off = await ok<ProviderJson>('POST', '/admin/v1/providers/first/disable');
    expect(off).toMatchObject({ enabled: false, enabled_by: 'switch' });
    await eventually(textOfJob, (text) => text === 'from the second');
    const on = await ok<ProviderJson>('POST', '/admin/v1/providers/first/enable');
    expect(on).toMatchObject({ enabled: true, enabled_by: 'switch' });
    await eventually(textOfJob, (text) => text === 'from the first');
    const reset = await ok<ProviderJson>('POST', '/admin/v1/providers/first/reset');
    expect(reset).toMatchObject({ enabled: true, enabled_by: 'configuration' });
  });
});

describe('a credential that the provider refuses', () => {
  test('is paused, is an event, and is free again after a reset', async () => {
    await ok('POST', '/admin/v1/providers/first/reset');
    await store(refusedSecret);
    await eventually(textOfJob, () =>
      first.requests.some((seen) => seen.headers.authorization?.includes(refusedSecret)),
    );
    const { pauses } = await eventually(
      () => provider('first'),
      (seen) => seen.pauses.length > 0,
    );
    expect(pauses).toEqual([
      { scope: 'credential', subject: 'first-key', kind: 'auth', until: expect.stringMatching(/^\d{4}-.*Z$/) },
    ]);
    const dead = await eventually(
      async () => (await ok<EventList>('GET', '/v1/events')).data.find(({ type }) => type === 'credential.dead'),
      (event) => event !== undefined,
    );
    expect(dead).toMatchObject({
      object: 'event',
      ord: expect.any(Number),
      data: { provider: 'first', credential: 'first-key', failure: 'auth' },
    });
    expect(await ok('POST', '/admin/v1/providers/first/reset')).toMatchObject({ pauses: [] });
    expect(await provider('first')).toMatchObject({ pauses: [] });
  });
});

describe('credentials', () => {
  test('one that is stored is used by the workers, and told nowhere', async () => {
    const stored = await store(canary);
    expect(stored).toEqual({
      object: 'credential',
      name: 'first-key',
      updated_at: expect.stringMatching(/^\d{4}-.*Z$/),
      used_by: [{ provider: 'first', account: 'main' }],
    });
    await ok('POST', '/admin/v1/providers/first/reset');
    await eventually(textOfJob, () => first.requests.some((seen) => seen.headers.authorization === `Bearer ${canary}`));
    const told = [
      JSON.stringify(await credentials()),
      (await send('GET', '/admin/v1/providers')).text,
      (await send('GET', '/v1/events')).text,
      waybill.log.join('\n'),
    ].join('\n');
    expect(told).not.toContain(canary);
    const rows = await waybill.server.database.kysely.selectFrom('waybill.credentials').selectAll().execute();
    expect(rows.some(({ sealed }) => Buffer.from(sealed).includes(canary))).toBe(false);
  });

  test('one that nobody uses can be removed once', async () => {
    await ok('PUT', '/admin/v1/credentials/spare-key', { secret: canary });
    expect((await credentials()).find(({ name }) => name === 'spare-key')).toMatchObject({ used_by: [] });
    expect(await problem('DELETE', '/admin/v1/credentials/spare-kee')).toMatchObject({
      status: 404,
      message: expect.stringContaining('did you mean "spare-key"?'),
    });
    expect(await ok('DELETE', '/admin/v1/credentials/spare-key')).toMatchObject({ name: 'spare-key', deleted: true });
    expect(await problem('DELETE', '/admin/v1/credentials/spare-key')).toMatchObject({
      status: 404,
      code: 'not_found',
    });
    expect((await credentials()).map(({ name }) => name)).not.toContain('spare-key');
  });

  test.for<[string, string, unknown, number]>([
    ['an empty secret', 'a', { secret: '' }, 422],
    ['a blank one', 'a', { secret: ' \t ' }, 422],
    ['one in quotes', 'a', { secret: `"${canary}"` }, 422],
    ['one with a line break', 'a', { secret: `${canary}\n` }, 422],
    ['a number', 'a', { secret: 5 }, 400],
    ['another field', 'a', { secret: canary, note: canary }, 400],
    ['no body', 'a', undefined, 400],
    ['no JSON', 'a', `{"secret": "${canary}" ${canary}`, 400],
    ['a name with a slash', 'a%2Fb', { secret: canary }, 400],
    ['a name that is a secret of another kind', `${canary}%20`, { secret: canary }, 400],
  ])('%s is refused without a word of it', async ([, name, body, status]) => {
    const answer = await send('PUT', `/admin/v1/credentials/${name}`, body);
    expect(answer.status).toBe(status);
    expect(answer.text).not.toContain(canary);
    expect((await credentials()).map((each) => each.name)).not.toContain('a');
  });
});

describe('events', () => {
  const note = async (id: string): Promise<void> => {
    await waybill.server.database.kysely
      .insertInto('waybill.events')
      .values({ id, type: 'provider.recovered', data: JSON.stringify({ provider: 'idle' }) })
      .execute();
  };

  test('come in order, a page at a time, and the cursor goes on where the page ended', async () => {
    for (const id of ['e1', 'e2', 'e3']) await note(id);
    const all = await ok<EventList>('GET', '/v1/events');
    const mine = all.data.filter(({ id }) => /^e\d$/.test(id));
    expect(mine.map(({ id }) => id)).toEqual(['e1', 'e2', 'e3']);
    const before = (mine[0]?.ord ?? 0) - 1;
    const page = await ok<EventList>('GET', `/v1/events?after=${before}&limit=2`);
    expect(page).toMatchObject({ object: 'list', has_more: true });
    expect(page.data).toHaveLength(2);
    const rest = await ok<EventList>('GET', `/v1/events?after=${page.next_after}`);
    expect(rest.data[0]?.ord).toBeGreaterThan(page.next_after);
    const end = await ok<EventList>('GET', `/v1/events?after=${rest.next_after}`);
    expect(end).toMatchObject({ data: [], has_more: false, next_after: rest.next_after });
  });

  test.for<[string, string]>([
    ['after=x', 'invalid_cursor'],
    ['after=-1', 'invalid_cursor'],
    ['after=1e3', 'invalid_cursor'],
    ['limit=0', 'invalid_limit'],
    ['limit=101', 'invalid_limit'],
    ['limit=ten', 'invalid_limit'],
  ])('%s is %s', async ([query, code]) => {
    expect(await problem('GET', `/v1/events?${query}`)).toMatchObject({ status: 400, code });
  });
});

/** Breakers in an operator's hands: seen, opened, closed and reset over HTTP and on the command line. */
import type { BreakerJson, BreakerList } from '@waybill/producer/routes/admin/breaker-json.ts';
import { addApiKey, defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectRefusal } from '../support/bad-input.ts';
import { listEvents } from '../support/events.ts';
import { type Answer, exchange } from '../support/http-exchange.ts';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';
import { runCli } from '../support/waybill-process.ts';

let first: ScriptedProvider;
let second: ScriptedProvider;
let waybill: TestWaybill;
let userKey: string;

beforeAll(async () => {
  first = await startScriptedProvider(({ body }) => (body.model === 'ill' ? refuse(500) : say('from the first')));
  second = await startScriptedProvider(() => say('from the second'));
  const preset = 'openai-compatible';
  waybill = await startWaybill({
    config: {
      providers: {
        first: { preset, base_url: `${first.url}/v1`, models: { named: {} } },
        second: { preset, base_url: `${second.url}/v1` },
        third: { preset, base_url: `${second.url}/v1` },
        fourth: { preset, base_url: `${second.url}/v1` },
      },
      // Each test has targets of its own: they run in any order.
      chains: {
        default: { targets: ['first/a', 'second/a'] },
        b: { targets: ['first/b', 'second/b'] },
        c: { targets: ['third/c', 'second/c'] },
        ill: { targets: ['first/ill', 'second/d'], same_target_retries: 0 },
        whole: { targets: ['fourth/x', 'fourth/y'] },
        e: { targets: ['second/e'] },
      },
      breaker: { consecutive_failures: 2, cooldown: '10m' },
    },
  });
  userKey = (
    await addApiKey(waybill.server.database, { tenantId: defaultTenantId, name: 'user', scopes: ['jobs:write'] })
  ).text;
});
afterAll(async () => {
  await waybill?.stop();
  await Promise.all([first?.stop(), second?.stop()]);
});

const path = '/admin/v1/breakers';
const post = (body: unknown, key = waybill.adminKey): Promise<Answer> =>
  exchange(waybill.url, key, { method: 'POST', path, body });
async function run(model: string) {
  const { id } = await waybill.client.submit({ model, prompt: 'hello' });
  return whenFinal(waybill.client, id);
}
const breakerIn = ({ data }: BreakerList, target: string): BreakerJson | undefined =>
  data.find((each) => each.target === target);
const breakerOf = async (target: string) => breakerIn(await waybill.client.breakers(), target);
const eventsOf = async (target: string) => (await listEvents(waybill)).filter((each) => each.data.target === target);
async function auditOf(target: string) {
  const { data } = await waybill.client.audit();
  return data.filter(({ detail }) => (detail as { target?: string }).target === target);
}

test('every target of the configuration is listed, and what nobody has seen is unknown', async () => {
  const list = await waybill.client.breakers();
  const targets = list.data.map(({ target }) => target);
  for (const target of ['first/a', 'first/b', 'first/ill', 'first/named', 'fourth/x', 'second/e'])
    expect(targets).toContain(target);
  expect(targets).toEqual(targets.toSorted());
  expect(breakerIn(list, 'first/named')).toEqual({
    ...{ object: 'breaker', target: 'first/named', provider: 'first', state: 'closed', is_configured: true },
    ...{ why: null, since: null, until: null, successes: 0 },
    counts: { calls: 0, failed: 0, consecutive_failures: 0, latency_ms: null },
    usual: { latency_ms: null, reliability: null },
  });
  expect(list.providers.map(({ provider }) => provider)).toEqual(['first', 'second', 'third', 'fourth']);
});

test('one that opened by itself shows what was counted; a reset closes it and forgets that', async () => {
  for (let n = 0; n < 2; n += 1) expect(await run('ill')).toMatchObject({ status: 'succeeded', target: 'second/d' });
  const open = await eventually(
    () => breakerOf('first/ill'),
    (breaker) => breaker?.state === 'open',
  );
  expect(open).toMatchObject({
    why: 'consecutive_failures',
    counts: { calls: 2, failed: 2, consecutive_failures: 2 },
    usual: { latency_ms: null, reliability: 0 },
  });
  // Ten minutes, spread by a fifth.
  const lasts = Date.parse(open?.until ?? '') - Date.parse(open?.since ?? '');
  expect(lasts).toBeGreaterThanOrEqual(480_000);
  expect(lasts).toBeLessThanOrEqual(720_000);
  const { providers } = await waybill.client.breakers();
  expect(providers.find(({ provider }) => provider === 'first')?.state).not.toBe('closed');
  const answer = await waybill.client.changeBreaker('first/ill', 'reset');
  expect(answer).toMatchObject({ action: 'reset', changed: ['first/ill'] });
  expect(breakerIn(answer, 'first/ill')).toMatchObject({
    state: 'closed',
    counts: { calls: 0, failed: 0, consecutive_failures: 0 },
    usual: { latency_ms: null, reliability: null },
  });
  expect((await eventsOf('first/ill')).map(({ type }) => type)).toEqual(['breaker.opened', 'breaker.closed']);
  expect((await run('ill')).attempts[0], 'it is called again').toMatchObject({ target: 'first/ill' });
});

test('an opened target is left alone until it is closed', async () => {
  expect((await run('b')).target).toBe('first/b');
  const opened = await waybill.client.changeBreaker('first/b', 'open');
  expect(opened).toMatchObject({ object: 'list', action: 'open', changed: ['first/b'] });
  expect(breakerIn(opened, 'first/b')).toMatchObject({ state: 'open', why: 'manual', until: null });
  expect(breakerIn(opened, 'first/b')?.usual.latency_ms, 'what is usual is kept').not.toBeNull();
  expect(opened.providers, 'of the provider alone').toMatchObject([
    { provider: 'first', state: 'degraded', opened: null },
  ]);
  expect((await run('b')).attempts).toMatchObject([{ target: 'second/b' }]);
  expect((await waybill.client.changeBreaker('first/b', 'open')).changed, 'twice is once').toEqual([]);
  const closed = await waybill.client.changeBreaker('first/b', 'close');
  expect(closed.changed).toEqual(['first/b']);
  expect((await run('b')).target).toBe('first/b');
  expect((await waybill.client.changeBreaker('first/b', 'close')).changed).toEqual([]);
  expect(await eventsOf('first/b')).toMatchObject([
    { type: 'breaker.opened', data: { state: 'open', why: 'manual', until: null, by: 'key_admin' } },
    { type: 'breaker.closed', data: { state: 'closed', why: 'manual', by: 'key_admin' } },
  ]);
  // Also what changed nothing was asked for.
  expect(await auditOf('first/b')).toMatchObject(
    ['open', 'open', 'close', 'close'].map((action, n) => ({
      actor: 'key_admin',
      action: `breaker.${action}`,
      detail: { changed: n % 2 === 0 ? ['first/b'] : [] },
    })),
  );
});

test('a job with nowhere else to go waits, and goes once the breaker is closed', async () => {
  await waybill.client.changeBreaker('second/f', 'open');
  const { id } = await waybill.client.submit({ model: 'second/f', prompt: 'hello' });
  await eventually(
    () => waybill.client.get(id),
    ({ status, waiting }) => status === 'queued' && waiting?.reason === 'breaker',
  );
  await waybill.client.changeBreaker('second/f', 'close');
  expect(await whenFinal(waybill.client, id)).toMatchObject({ status: 'succeeded', attempts: [{ n: 1 }] });
});

/** Opens it for a while; what was changed, and until when it is open. */
async function openFor(target: string, lasts: string) {
  const answer = await waybill.client.changeBreaker(target, 'open', { for: lasts });
  return { changed: answer.changed, until: Date.parse(breakerIn(answer, target)?.until ?? '') };
}

test('an opening for a while is made longer by a later end, and not shortened', async () => {
  const minuteMs = 60_000;
  const beganMs = Date.now();
  const first = await openFor('second/g', '10m');
  expect(first.changed).toEqual(['second/g']);
  expect(first.until).toBeGreaterThanOrEqual(beganMs + 10 * minuteMs);
  expect(first.until).toBeLessThanOrEqual(Date.now() + 10 * minuteMs);
  const longer = await openFor('second/g', '20m');
  expect(longer.changed).toEqual(['second/g']);
  expect(longer.until).toBeGreaterThanOrEqual(beganMs + 20 * minuteMs);
  expect(await openFor('second/g', '1m')).toEqual({ changed: [], until: longer.until });
  expect((await eventsOf('second/g')).filter(({ type }) => type === 'breaker.opened')).toHaveLength(1);
  await waybill.client.changeBreaker('second/g', 'close');
});

test('an opening for a while ends by itself, and not before', async () => {
  await openFor('second/e', '1s');
  const { until } = await openFor('second/e', '2s');
  const { id } = await waybill.client.submit({ model: 'e', prompt: 'hello' });
  const job = await whenFinal(waybill.client, id);
  expect(job).toMatchObject({ status: 'succeeded', target: 'second/e' });
  expect(Date.parse(job.started_at ?? '')).toBeGreaterThanOrEqual(until);
});

test('all of a provider is opened as one, and closing it closes each of its targets', async () => {
  const opened = await waybill.client.changeBreaker('third/*', 'open', { for: '1h' });
  expect(opened.changed).toEqual(['third/*']);
  expect(opened.providers).toMatchObject([
    { provider: 'third', state: 'open', opened: { since: expect.any(String), until: expect.any(String) } },
  ]);
  expect(opened.data.map(({ target }) => target)).toEqual(['third/c']);
  expect((await run('c')).attempts).toMatchObject([{ target: 'second/c' }]);
  await waybill.client.changeBreaker('third/c', 'open');
  // Its own is closed; that of the whole provider is not.
  await waybill.client.changeBreaker('third/c', 'close');
  expect((await run('c')).attempts).toMatchObject([{ target: 'second/c' }]);
  await waybill.client.changeBreaker('third/c', 'open');
  const closed = await waybill.client.changeBreaker('third/*', 'close');
  expect(closed.changed.toSorted()).toEqual(['third/*', 'third/c']);
  expect(closed.providers).toEqual([{ object: 'provider_breaker', provider: 'third', state: 'closed', opened: null }]);
  expect((await run('c')).target).toBe('third/c');
});

test('a model that only a job names can be left alone, and says that no chain names it', async () => {
  const opened = await waybill.client.changeBreaker('second/some/pinned-model', 'open');
  expect(breakerIn(opened, 'second/some/pinned-model')).toMatchObject({ state: 'open', is_configured: false });
  expect(await breakerOf('second/some/pinned-model')).toMatchObject({ state: 'open' });
  await waybill.client.changeBreaker('second/some/pinned-model', 'close');
  expect(await breakerOf('second/some/pinned-model')).toBeUndefined();
});

describe('what is refused', () => {
  test.for<[unknown, number, string, string | null]>([
    [{}, 400, 'invalid_type', 'target'],
    [{ target: 'first/a' }, 400, 'invalid_value', 'action'],
    [{ target: 'first/a', action: 'shut' }, 400, 'invalid_value', 'action'],
    [{ target: 'first', action: 'open' }, 400, 'invalid_value', 'target'],
    [{ target: 'first/', action: 'open' }, 400, 'invalid_value', 'target'],
    [{ target: 'firts/a', action: 'open' }, 404, 'not_found', 'target'],
    [{ target: 'constructor/a', action: 'open' }, 404, 'not_found', 'target'],
    [{ target: 'first/a\u0000', action: 'open' }, 400, 'control_character', 'target'],
    [{ target: `first/${'a'.repeat(300)}`, action: 'open' }, 400, 'out_of_range', 'target'],
    [{ target: 'first/a', action: 'open', for: 10 }, 400, 'invalid_type', 'for'],
    [{ target: 'first/a', action: 'open', for: '10' }, 400, 'invalid_type', 'for'],
    [{ target: 'first/a', action: 'open', for: '30d' }, 400, 'out_of_range', 'for'],
    [{ target: 'first/a', action: 'close', for: '1m' }, 400, 'invalid_value', 'for'],
    [{ target: 'first/a', action: 'open', until: '10m' }, 400, 'unknown_field', null],
  ])('%j', async ([body, status, code, param]) => {
    const answer = await post(body);
    expectRefusal(answer, status, code);
    expect(JSON.parse(answer.text).error.param).toBe(param);
    expect(await breakerOf('first/a')).toMatchObject({ state: 'closed' });
  });

  test('a key without the scope, an unknown query, another method', async () => {
    expectRefusal(await exchange(waybill.url, userKey, { path }), 403, 'insufficient_scope');
    expectRefusal(await post({ target: 'first/a', action: 'open' }, userKey), 403, 'insufficient_scope');
    expectRefusal(await exchange(waybill.url, waybill.adminKey, { path: `${path}?x=1` }), 400, 'invalid_query');
    const answer = await exchange(waybill.url, waybill.adminKey, { method: 'DELETE', path });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, POST']);
  });
});

describe('the audit', () => {
  test('is read page by page, newest last, and begins anew for whoever has the last number', async () => {
    const { next_after: from } = await waybill.client.audit();
    for (const action of ['open', 'close', 'reset'] as const) await waybill.client.changeBreaker('second/a', action);
    const after = async (ord: number) => waybill.client.audit({ after: String(ord), limit: '1' });
    let ord = from;
    const seen: string[] = [];
    for (let page = await after(ord); page.data.length > 0; page = await after(ord)) {
      for (const each of page.data)
        if ((each.detail as { target?: string }).target === 'second/a') seen.push(each.action);
      expect(page.next_after).toBeGreaterThan(ord);
      ord = page.next_after;
    }
    expect(seen).toEqual(['breaker.open', 'breaker.close', 'breaker.reset']);
  });

  test.for<[string, number, string]>([
    ['after=x', 400, 'invalid_cursor'],
    ['limit=0', 400, 'invalid_limit'],
    ['limit=101', 400, 'invalid_limit'],
    ['job_id=x', 400, 'invalid_value'],
    ['before=1', 400, 'invalid_query'],
  ])('refuses ?%s', async ([query, status, code]) => {
    expectRefusal(await exchange(waybill.url, waybill.adminKey, { path: `/admin/v1/audit?${query}` }), status, code);
    expectRefusal(await exchange(waybill.url, userKey, { path: '/admin/v1/audit' }), 403, 'insufficient_scope');
  });
});

describe('the command line', () => {
  const cli = (...args: readonly string[]) =>
    runCli(['breakers', ...args], { environment: { WAYBILL_URL: waybill.url, WAYBILL_API_KEY: waybill.adminKey } });

  test('opens, lists, closes and resets', async () => {
    expect(await cli('open', 'fourth/x', '--for', '1h')).toMatchObject({ code: 0, stdout: 'fourth/x  open\n' });
    expect(await cli('open', 'fourth/*')).toMatchObject({ code: 0, stdout: 'fourth/*  open\n' });
    const listed = await cli();
    expect(listed.stdout).toMatch(/^fourth\/x +open +manual +20/m);
    expect(listed.stdout).toMatch(/^second\/e /m);
    expect(listed.stdout).toContain('Opened by hand: all of fourth, until it is closed');
    const closed = await cli('close', 'fourth/x');
    expect(closed).toMatchObject({ code: 0, stdout: 'fourth/x  closed\n' });
    expect(closed.stderr).toContain('all of fourth is still open');
    expect(await cli('close', 'fourth/x')).toMatchObject({ code: 0, stdout: 'fourth/x  nothing to change\n' });
    const reset = await cli('reset', 'fourth/*', '--json');
    expect(JSON.parse(reset.stdout)).toMatchObject({ action: 'reset', changed: ['fourth/*', 'fourth/x', 'fourth/y'] });
    const json = JSON.parse((await cli('list', '--json')).stdout) as BreakerList;
    expect(breakerIn(json, 'fourth/x')?.state).toBe('closed');
  });

  test('says what is wrong', async () => {
    const wrong = await cli('open', 'fourht/x');
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('did you mean "fourth"?');
    for (const command of [[], ['list'], ['open'], ['close'], ['reset']])
      expect((await cli(...command, '--help')).stdout).toMatch(/Examples?:\n {2}waybill breakers/);
  });
});

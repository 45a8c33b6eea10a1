/** Where a job goes: tiers, strategies, classes, tenants' own words, limits, breakers and the last resort. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Reply,
  refuse,
  type ScriptedProvider,
  type SeenRequest,
  say,
  startScriptedProvider,
} from '../support/scripted-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

type Name = 'a' | 'b' | 'local';
let providers: Record<Name, ScriptedProvider>;
let waybill: TestWaybill;
/** What a target says to every prompt, by provider and model; else it answers. */
const moods = new Map<string, (request: SeenRequest) => Reply>();

const play = (name: Name) => (request: SeenRequest) =>
  moods.get(`${name}/${String(request.body.model)}`)?.(request) ?? say(`${name} says hello`);

const fast = { initial: '5ms', max: '20ms' };
const dear = { input_usd_per_million: '10', output_usd_per_million: '30' };
const cheap = { input_usd_per_million: '1', output_usd_per_million: '3' };

beforeAll(async () => {
  providers = {
    a: await startScriptedProvider(play('a')),
    b: await startScriptedProvider(play('b')),
    local: await startScriptedProvider(play('local')),
  };
  const models = ['limited', 'broken', 'dying', 'slow', 'one', 'two', 'gone'];
  waybill = await startWaybill({
    config: {
      providers: {
        a: {
          preset: 'openai-compatible',
          base_url: `${providers.a.url}/v1`,
          models: {
            ...Object.fromEntries(models.map((model) => [model, dear])),
            limited: { ...dear, limits: { rpm: 1, tpm: 100_000 } },
            'small-limit': { ...dear, limits: { tpm: 2_000 } },
          },
        },
        b: {
          preset: 'openai-compatible',
          base_url: `${providers.b.url}/v1`,
          models: Object.fromEntries(models.map((model) => [model, cheap])),
        },
        local: { preset: 'openai-compatible', base_url: `${providers.local.url}/v1`, labels: ['local'] },
      },
      chains: {
        tiered: { targets: [['a/one', 'b/one'], 'local/m'], backoff: fast },
        // So far apart that chance has no say.
        weighted: {
          targets: [
            [
              { target: 'a/one', weight: 0.01 },
              { target: 'b/one', weight: 1_000 },
            ],
          ],
          backoff: fast,
        },
        cheapest: { targets: ['a/two', 'local/m', 'b/two'], strategy: 'cheapest' },
        'on-limit': { targets: ['a/limited', 'b/two'], on_limit: { interactive: '1s', bulk: 'wait' }, backoff: fast },
        fitting: { targets: ['a/small-limit', 'b/two'] },
        'only-small': { targets: ['a/small-limit'] },
        resort: {
          targets: ['a/broken', 'b/broken'],
          mode: 'immediate',
          last_resort: { content: 'We will come back to you.' },
        },
        dying: { targets: ['a/dying', 'b/two'], backoff: fast, same_target_retries: 0 },
        'cheapest-left': { targets: ['a/gone', 'a/two', 'b/two'], on_unavailable: 'cheapest', backoff: fast },
        default: { targets: ['a/one'] },
        'for-search': { targets: ['local/m'] },
      },
      classify: {
        auto: { short: 'for-search', long: 'tiered', tools: 'cheapest', otherwise: 'default', long_from: 2_000 },
      },
      breaker: { consecutive_failures: 3, cooldown: '300ms', max_cooldown: '300ms' },
    },
  });
});

afterAll(async () => {
  await waybill?.stop();
  await Promise.all(Object.values(providers ?? {}).map((provider) => provider.stop()));
});

async function run(model: string, more: Record<string, unknown> = {}, content = 'hello') {
  const { id } = await waybill.client.submit({
    body: { model, messages: [{ role: 'user', content }], max_tokens: 20 },
    ...more,
  });
  return whenFinal(waybill.client, id);
}
const targetsOf = (job: Awaited<ReturnType<typeof run>>) => job.attempts.map(({ target }) => target);

test('a tier is balanced before the next item has its turn', async () => {
  const jobs = await Promise.all(Array.from({ length: 40 }, () => run('tiered')));
  // That one of two alike is never drawn in 40 turns happens once in half a million million.
  expect([...new Set(jobs.map(({ target }) => target))].toSorted()).toEqual(['a/one', 'b/one']);
});

test('a tier is balanced by weight', async () => {
  const targets: string[] = [];
  // One after the other: a target without room would come last, whatever its weight.
  for (let n = 0; n < 12; n++) targets.push((await run('weighted')).target);
  expect(targets.filter((target) => target === 'b/one').length).toBeGreaterThan(10);
});

test('the cheapest target is the one that costs nothing, then the one that costs less', async () => {
  expect((await run('cheapest')).target).toBe('local/m');
  expect((await run('cheapest', { exclude_providers: ['local'] })).target).toBe('b/two');
});

test('when a model is not there, the cheapest of the others is next, where the chain says so', async () => {
  moods.set('a/gone', () => refuse(404, { error: { message: 'no such model', code: 'model_not_found' } }));
  expect(targetsOf(await run('cheapest-left'))).toEqual(['a/gone', 'b/two']);
});

test('a class of requests has a chain of its own', async () => {
  const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } };
  expect((await run('auto')).target).toBe('local/m');
  const { id } = await waybill.client.submit({
    body: { model: 'auto', messages: [{ role: 'user', content: 'hello' }], tools: [tool], max_tokens: 20 },
  });
  expect(await whenFinal(waybill.client, id)).toMatchObject({ model: 'auto', status: 'succeeded' });
  expect((await run('auto', {}, 'word '.repeat(600))).target).toBe('a/one');
  expect((await run('auto', {}, 'word '.repeat(4_000))).target).toMatch(/one$/);
});

test('a request that is larger than a limit goes past it, and is refused where there is nothing else', async () => {
  const long = 'word '.repeat(3_000);
  expect(targetsOf(await run('fitting', {}, long))).toEqual(['b/two']);
  await expect(run('only-small', {}, long)).rejects.toMatchObject({ code: 'no_eligible_target', status: 400 });
});

test('an interactive job waits for a limit as long as its chain says, and a bulk job stays', async () => {
  const before = providers.a.requests.length;
  // Paced: one at once, and the next one after most of a minute.
  const bulk = await Promise.all(
    [1, 2].map(() => waybill.client.submit({ model: 'on-limit', prompt: 'bulk', priority: 'bulk' })),
  );
  await eventually(
    () => providers.a.requests.length - before,
    (calls) => calls >= 1,
  );
  const hurried = await Promise.all([1, 2, 3, 4].map(() => run('on-limit', { priority: 'interactive' })));
  // What was only waited for is no attempt.
  expect(hurried.map(targetsOf)).toEqual(Array(4).fill(['b/two']));
  const stayed = await eventually(
    () => Promise.all(bulk.map(({ id }) => waybill.client.get(id))),
    (jobs) =>
      jobs.some(({ status }) => status === 'succeeded') && jobs.some((job) => job.waiting?.reason === 'rate_limit'),
  );
  for (const { target } of stayed) expect(target).toBe('a/limited');
  for (const { id, status } of stayed) if (status !== 'succeeded') await waybill.client.cancel(id);
});

test('the last resort answers when no target did, and the job says so', async () => {
  for (const name of ['a', 'b']) moods.set(`${name}/broken`, () => refuse(500));
  const job = await run('resort');
  expect(job).toMatchObject({ status: 'succeeded', output_text: 'We will come back to you.', error: null });
  expect(job.output).toMatchObject({ model: 'last_resort' });
  expect(job.attempts.map(({ status }) => status)).toEqual(['failed', 'failed']);
  const { rows } = await waybill.server.database.pool.query('select is_last_resort from waybill.jobs where id = $1', [
    job.id,
  ]);
  expect(rows).toEqual([{ is_last_resort: true }]);
});

test('a target that dies is left alone, and found again by one call at a time', async () => {
  let isDead = true;
  const calls: { atMs: number; wasDead: boolean }[] = [];
  moods.set('a/dying', (request) => {
    calls.push({ atMs: request.atMs, wasDead: isDead });
    return isDead ? refuse(500) : say('back again', { delayMs: 50 });
  });
  const events = async () =>
    (
      await waybill.server.database.pool.query(
        `select type from waybill.events where id like 'breaker.%a/dying%' order by ord`,
      )
    ).rows.map(({ type }) => type as string);
  for (let n = 0; n < 3; n++) expect(targetsOf(await run('dying'))).toEqual(['a/dying', 'b/two']);
  await eventually(events, (types) => types.includes('breaker.opened'));
  const known = calls.length;
  const others = await Promise.all([1, 2, 3, 4].map(() => run('dying')));
  expect(others.every(({ status, target }) => status === 'succeeded' && target === 'b/two')).toBe(true);
  isDead = false;
  await eventually(
    async () => {
      await Promise.all([1, 2, 3].map(() => run('dying')));
      return events();
    },
    (types) => types.at(-1) === 'breaker.closed',
  );
  expect(calls.length, 'it was probed').toBeGreaterThan(known);
  expect((await run('dying')).target).toBe('a/dying');
});

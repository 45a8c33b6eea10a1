/** Where a target is called: several addresses, limits that are learned, and a provider that is switched off. */
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

let first: ScriptedProvider;
let second: ScriptedProvider;
let waybill: TestWaybill;

/** By model; whoever is not here is served after a moment. */
const scripts = new Map<string, (request: SeenRequest, nth: number) => Reply | Promise<Reply>>();
const callsOf = (model: string, provider: ScriptedProvider = first) =>
  provider.requests.filter(({ body }) => body.model === model);

beforeAll(async () => {
  const play = (request: SeenRequest) => {
    const model = String(request.body.model);
    return scripts.get(model)?.(request, callsOf(model).length) ?? say('hello', { delayMs: 20 });
  };
  first = await startScriptedProvider(play);
  second = await startScriptedProvider(play);
  const preset = 'openai-compatible';
  const at = { preset, base_url: `${first.url}/v1` };
  waybill = await startWaybill({
    environment: { ACCOUNT_A: 'ACCOUNT_A', ACCOUNT_B: 'ACCOUNT_B' },
    config: {
      providers: {
        pair: { preset, endpoints: [`${first.url}/v1`, `${second.url}/v1`] },
        uneven: {
          preset,
          endpoints: [
            { url: `${first.url}/v1`, concurrency: 1 },
            { url: `${second.url}/v1`, concurrency: 3 },
          ],
        },
        limited: at,
        accounts: {
          ...at,
          credentials: [
            { env: 'ACCOUNT_A', account: 'a' },
            { env: 'ACCOUNT_B', account: 'b' },
          ],
        },
        adaptive: { ...at, limits: { concurrency: 10 } },
        switched: at,
        narrow: { ...at, limits: { concurrency: 1 } },
        other: at,
      },
      chains: {
        tides: { targets: ['adaptive/tides'], backoff: { initial: '5ms', max: '50ms' } },
        moves: { targets: ['switched/moves', 'other/elsewhere'] },
        queued: { targets: ['narrow/queued', 'other/queued-too'] },
        limits: { targets: ['limited/hurry', 'other/instead'], on_limit: { interactive: '2s' } },
      },
    },
  });
});

afterAll(async () => {
  await waybill?.stop();
  await Promise.all([first?.stop(), second?.stop()]);
});

const submit = (model: string, more: object = {}) => waybill.client.submit({ model, prompt: 'hello', ...more });
const run = async (model: string, more: object = {}) => whenFinal(waybill.client, (await submit(model, more)).id);
const runMany = async (model: string, count: number) => {
  const { data } = await waybill.client.submitMany(Array.from({ length: count }, () => ({ model, prompt: 'hello' })));
  return Promise.all(data.map(({ id }) => whenFinal(waybill.client, id, 120_000)));
};
const switchProvider = async (id: string, change: 'enable' | 'disable') => {
  const response = await fetch(`${waybill.url}/admin/v1/providers/${id}/${change}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${waybill.adminKey}` },
  });
  expect(response.status).toBe(200);
};

/** Answers nobody before all of the calls that are expected at once are there. */
function gate(expected: number) {
  const open = Promise.withResolvers<void>();
  let waiting = 0;
  return async (): Promise<Reply> => {
    waiting += 1;
    if (waiting >= expected) open.resolve();
    await open.promise;
    return say('through');
  };
}

test('the address with the fewest calls under way is called', async () => {
  scripts.set('m', gate(6));
  await runMany('pair/m', 6);
  expect([callsOf('m', first).length, callsOf('m', second).length]).toEqual([3, 3]);
});

test('each address takes as many calls at once as it is given', async () => {
  const open = { first: 0, second: 0 };
  const most = { first: 0, second: 0 };
  scripts.set('uneven', async ({ headers }) => {
    const where = first.url.endsWith(String(headers.host)) ? 'first' : 'second';
    open[where] += 1;
    most[where] = Math.max(most[where], open[where]);
    // The next calls come while this one is open, if they come at all.
    await new Promise((resolve) => setTimeout(resolve, 60));
    open[where] -= 1;
    return say('hello');
  });
  const jobs = await runMany('uneven/uneven', 12);
  expect(jobs.map(({ status }) => status)).toEqual(Array(12).fill('succeeded'));
  expect(most).toEqual({ first: 1, second: 3 });
});

const left = (remaining: number, reset: string) => ({
  'x-ratelimit-limit-requests': '100',
  'x-ratelimit-remaining-requests': String(remaining),
  'x-ratelimit-reset-requests': reset,
});

test('an account that says on a good answer that nothing is left rests until its reset', async () => {
  scripts.set('spent', (_, nth) => say('hello', nth === 1 ? { headers: left(0, '2s') } : {}));
  expect((await run('limited/spent')).attempts).toHaveLength(1);
  const next = await run('limited/spent');
  expect(next.attempts, 'it was not refused: it was not called').toHaveLength(1);
  const [one, two] = callsOf('spent');
  expect((two?.atMs ?? 0) - (one?.atMs ?? 0)).toBeGreaterThanOrEqual(1_900);
});

test('while one account rests the other is called', async () => {
  scripts.set('spent-a', ({ credential }) =>
    say('hello', credential === 'ACCOUNT_A' ? { headers: left(0, '30s') } : {}),
  );
  for (let n = 0; n < 5; n += 1) await run('accounts/spent-a');
  expect(callsOf('spent-a').filter(({ credential }) => credential === 'ACCOUNT_A')).toHaveLength(1);
  expect(callsOf('spent-a')).toHaveLength(5);
});

test('a job does not wait for a rest that is longer than its patience, also when it was never refused itself', async () => {
  scripts.set('hurry', () => refuse(429, undefined, { 'retry-after': '30' }));
  const refused = await run('limits', { priority: 'interactive' });
  expect(refused.attempts.map(({ target }) => target)).toEqual(['limited/hurry', 'other/instead']);
  const next = await run('limits', { priority: 'interactive' });
  expect(next.attempts.map(({ target }) => target)).toEqual(['other/instead']);
  expect(callsOf('hurry')).toHaveLength(1);
});

// Some eighty calls, most of them one after the other.
test('calls at once go down when the provider refuses, and up again when it serves', { timeout: 150_000 }, async () => {
  let open = 0;
  let most = 0;
  /** All tests of this file share the provider: only calls of this model count. */
  const answering = (reply: () => Reply | Promise<Reply>) =>
    scripts.set('tides', async () => {
      open += 1;
      most = Math.max(most, open);
      const answer = await reply();
      open -= 1;
      return answer;
    });
  const limit = async () => {
    const { rows } = await waybill.server.database.pool.query(
      `select adaptive from coordination.places where target = 'adaptive/tides'`,
    );
    return rows[0]?.adaptive == null ? 10 : Number(rows[0].adaptive);
  };
  answering(gate(10));
  await runMany('tides', 10);
  expect(most).toBe(10);

  answering(() => refuse(429, undefined, { 'retry-after': '0.05' }));
  const { data } = await waybill.client.submitMany(
    Array.from({ length: 10 }, () => ({ model: 'tides', prompt: 'hello' })),
  );
  await eventually(limit, (now) => now < 5);
  await eventually(
    () => open,
    (calls) => calls < 5,
  );
  most = 0;
  answering(() => say('hello', { delayMs: 20 }));
  await Promise.all(data.map(({ id }) => whenFinal(waybill.client, id)));
  expect(most, 'ten successes raise it by little').toBeLessThan(9);

  await runMany('tides', 60);
  expect(await limit()).toBe(10);
  answering(gate(10));
  await runMany('tides', 10);
});

test('a provider that is switched off gets no new calls and its jobs move on; on again, it serves', async () => {
  expect((await run('moves')).target).toBe('switched/moves');
  await switchProvider('switched', 'disable');
  expect((await run('moves')).target).toBe('other/elsewhere');
  const alone = await submit('switched/alone');
  const waiting = await eventually(
    () => waybill.client.get(alone.id),
    (job) => job.waiting?.reason === 'paused',
  );
  expect(waiting).toMatchObject({ status: 'queued', attempts: [] });
  expect(callsOf('alone')).toEqual([]);
  await switchProvider('switched', 'enable');
  expect(await whenFinal(waybill.client, alone.id)).toMatchObject({ status: 'succeeded', target: 'switched/alone' });
  expect((await run('moves')).target).toBe('switched/moves');
});

test('jobs that wait for a provider move on when it is switched off, and a call under way ends', async () => {
  const isCalled = Promise.withResolvers<void>();
  const mayEnd = Promise.withResolvers<void>();
  scripts.set('queued', async () => {
    isCalled.resolve();
    await mayEnd.promise;
    return say('slow');
  });
  const { data } = await waybill.client.submitMany(
    Array.from({ length: 12 }, () => ({ model: 'queued', prompt: 'x' })),
  );
  await isCalled.promise;
  await switchProvider('narrow', 'disable');
  // The two that are in the queue already wait for their slot; what is in the backlog goes at once.
  await eventually(
    () => callsOf('queued-too').length,
    (calls) => calls >= 12 - 1 - 2,
  );
  mayEnd.resolve();
  const jobs = await Promise.all(data.map(({ id }) => whenFinal(waybill.client, id)));
  expect(new Set(jobs.map(({ status }) => status))).toEqual(new Set(['succeeded']));
  expect(jobs.filter(({ target }) => target === 'narrow/queued')).toHaveLength(1);
  expect(callsOf('queued')).toHaveLength(1);
});

/** What the queue does on a Redis that forgets, dies, freezes or is replaced; and how much of it it takes. */
import type { Queue } from 'bullmq';
import { afterEach, describe, expect, it } from 'vitest';
import { createQueueRecorder, done, itemOf, stateOf, whenPicked, whenState } from '../support/queue-recorder.ts';
import { closesInReverse, newPrefix, openRedisQueues } from '../support/queues-under-test.ts';
import { flushAll, listKeys, openRedisClient } from '../support/redis-clients.ts';
import { startRedisServer } from '../support/redis-server.ts';
import { startRedisCluster } from '../support/redis-server-cluster.ts';
import { startRedisSentinel } from '../support/redis-server-sentinel.ts';
import { eventually } from '../support/waybill.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A server, a process on it and another one that only looks; all gone after the test. */
async function openOn<Server extends { url: string; source: string; stop(): Promise<void> }>(start: Promise<Server>) {
  const server = await start;
  console.info(`The queue under test: ${server.source}`);
  const closes = closesInReverse(() => server.stop());
  closing.push(closes.all);
  const prefix = newPrefix();
  const opened = await openRedisQueues(server.url, prefix);
  const recorder = createQueueRecorder();
  closes.add(opened.close);
  closes.add(recorder.stop);
  const admin = await openRedisClient(server.url, 'worker');
  closes.add(async () => admin.disconnect());
  return { server, prefix, ...opened, recorder, admin, queue: opened.queues.queue('openai') };
}

/** The outcome within the bound, or `nothing`. */
const within = (limitMs: number, work: Promise<unknown>): Promise<string> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('nothing'), limitMs);
  });
  const outcome = work.then(
    () => 'resolved',
    () => 'rejected',
  );
  return Promise.race([outcome, late]).finally(() => clearTimeout(timer));
};

/** Adds entries until one is through; what was not added or is lost is added again, as the dispatcher does. */
const whenAnotherRuns = async (
  { queue, recorder }: Pick<Awaited<ReturnType<typeof openOn>>, 'queue' | 'recorder'>,
  name: string,
) => {
  let n = 0;
  await eventually(
    async () => {
      n += 1;
      await queue.add([itemOf(`${name}-${n}`)]).catch(() => undefined);
      return recorder.picked.some((id) => id.startsWith(`${name}-`));
    },
    (hasRun) => hasRun,
    45_000,
  );
};

describe.each([
  ['one server', () => startRedisServer({ controllable: true })],
  ['a Cluster', () => startRedisCluster()],
] as const)('the queue on %s', (_name, start) => {
  it('keeps all keys of a queue under one hash tag, and of finished entries about a thousand', async () => {
    const { queue, queues, prefix, recorder, admin } = await openOn<Awaited<ReturnType<typeof start>>>(start());
    const other = queues.queue('anthropic');
    recorder.start(queue, (id) => (id.startsWith('bad') ? { kind: 'failed', note: 'no' } : done), 100);
    await other.add([itemOf('a'), itemOf('b', { delayMs: 60_000 })]);
    const ids = Array.from({ length: 4_000 }, (_, n) => (n % 8 < 5 ? `good-${n}` : `bad-${n}`));
    await queue.add(ids.map((id) => itemOf(id)));
    // Each at least once: where a busy machine renews a lock too late, an entry is picked up again.
    await eventually(
      () => new Set(recorder.picked).size,
      (size) => size === ids.length,
    );
    await eventually(
      () => queue.statesOf(ids.slice(-100)),
      (states) => [...states.values()].every((state) => state === 'finished' || state === 'missing'),
    );
    const bullmq = queues.opened().find(({ name }) => name === 'openai')?.bullmq as Queue;
    const counts = await eventually(
      () => bullmq.getJobCounts('completed', 'failed', 'active', 'wait'),
      ({ active, wait }) => active === 0 && wait === 0,
    );
    for (const kind of ['completed', 'failed'] as const) {
      expect(counts[kind]).toBeGreaterThanOrEqual(1_000);
      expect(counts[kind]).toBeLessThanOrEqual(1_100);
    }
    const keys = await listKeys(admin);
    const foreign = keys.filter(
      (key) => !key.startsWith(`${prefix}:{openai}:`) && !key.startsWith(`${prefix}:{anthropic}:`),
    );
    expect(foreign).toEqual([]);
    expect(keys.filter((key) => key.includes('{openai}')).length).toBeLessThan(2_300);
    const [events] = keys.filter((key) => key.startsWith(`${prefix}:{openai}:`) && key.endsWith(':events'));
    expect(await admin.xlen(events ?? '')).toBeLessThan(1_300);
  });

  it('goes on after everything was wiped, with its settings written again', async () => {
    const on = await openOn<Awaited<ReturnType<typeof start>>>(start());
    const { queue, recorder, admin } = on;
    recorder.start(queue);
    await queue.add([itemOf('before'), itemOf('later', { delayMs: 60_000 })]);
    await whenState(queue, 'before', 'finished');
    const [meta = ''] = (await listKeys(admin)).filter((key) => key.endsWith(':meta'));
    const maxEvents = () => admin.hget(meta, 'opts.maxLenEvents');
    // BullMQ writes it on its own time when a queue is opened.
    await eventually(maxEvents, (value) => value === '1000');
    await flushAll(admin);
    expect([...(await queue.statesOf(['before', 'later'])).values()]).toEqual(['missing', 'missing']);
    await queue.writeSettings();
    expect(await maxEvents()).toBe('1000');
    await queue.add([itemOf('before'), itemOf('later')]);
    await whenState(queue, 'before', 'finished');
    await whenState(queue, 'later', 'finished');
    expect(recorder.picked).toEqual(['before', 'before', 'later']);
  });

  it('goes on when it is wiped while entries run', async () => {
    const on = await openOn<Awaited<ReturnType<typeof start>>>(start());
    const release = Promise.withResolvers<void>();
    on.recorder.start(
      on.queue,
      async () => {
        await release.promise;
        return done;
      },
      2,
    );
    await on.queue.add([itemOf('one'), itemOf('two'), itemOf('three')]);
    await whenPicked(on.recorder.picked, 'two');
    await flushAll(on.admin);
    release.resolve();
    await whenAnotherRuns(on, 'after');
  });
});

describe('the queue on a server that fails', () => {
  it('says that it cannot be reached when the server is killed, and goes on when it is back', async () => {
    const on = await openOn(startRedisServer({ controllable: true, appendfsync: 'always' }));
    const { server, queue, queues, recorder } = on;
    recorder.start(queue);
    await queue.add([itemOf('before')]);
    await whenState(queue, 'before', 'finished');
    await queue.add([itemOf('kept', { delayMs: 1_500 })]);
    expect(queues.isReachable()).toBe(true);
    await server.control.kill();
    await eventually(queues.isReachable, (isReachable) => !isReachable, 10_000);
    expect(await within(10_000, queue.add([itemOf('during')]))).toBe('rejected');
    expect(await within(10_000, queue.statesOf(['before']))).toBe('rejected');
    await server.control.start();
    await eventually(queues.isReachable, (isReachable) => isReachable);
    await whenAnotherRuns(on, 'after');
    await whenPicked(recorder.picked, 'kept');
    expect(recorder.picked.filter((id) => id === 'before' || id === 'kept')).toEqual(['before', 'kept']);
  });

  it('finishes what ran while the server was away', async () => {
    const on = await openOn(startRedisServer({ controllable: true, appendfsync: 'always' }));
    const { server, queue, recorder } = on;
    const release = Promise.withResolvers<void>();
    recorder.start(
      queue,
      async () => {
        await release.promise;
        return done;
      },
      1,
    );
    await queue.add([itemOf('running')]);
    await whenState(queue, 'running', 'active');
    await server.control.kill();
    release.resolve();
    await server.control.start();
    await eventually(
      () => stateOf(queue, 'running').catch(String),
      (state) => state === 'finished',
    );
    expect(recorder.picked).toEqual(['running']);
  });

  it('fails in a bounded time while the server is frozen, and goes on when it answers again', async () => {
    const on = await openOn(startRedisServer({ controllable: true }));
    const { server, queue, queues, recorder } = on;
    recorder.start(queue);
    await queue.add([itemOf('before')]);
    await whenState(queue, 'before', 'finished');
    server.control.freeze();
    const many = Array.from({ length: 600 }, (_, n) => itemOf(`many-${n}`));
    const outcomes = await Promise.all([
      within(15_000, queue.add([itemOf('during')])),
      within(15_000, queue.statesOf(['before', 'during'])),
      within(15_000, queue.countWaiting()),
      within(15_000, queue.listWaiting(10)),
      within(15_000, queue.writeSettings()),
      within(15_000, queue.add(many)),
    ]);
    expect(outcomes).toEqual(Array(6).fill('rejected'));
    // The connection stands, and yet nobody is to wait for it again and again.
    expect(queues.isReachable()).toBe(false);
    // Quiet, but not for ever.
    expect(await within(15_000, queue.remove('before'))).toBe('resolved');
    server.control.thaw();
    await eventually(queues.isReachable, (isReachable) => isReachable);
    await whenAnotherRuns(on, 'after');
    await queue.add([itemOf('during')]);
    await whenState(queue, 'during', 'finished');
    expect(recorder.picked.filter((id) => id === 'during')).toHaveLength(1);
  });

  it('closes in a bounded time while the server is gone', async () => {
    const { server, queue, queues, recorder } = await openOn(startRedisServer({ controllable: true }));
    const worker = recorder.start(queue);
    await queue.add([itemOf('before')]);
    await whenState(queue, 'before', 'finished');
    await server.control.kill();
    expect(await within(15_000, worker.close(true))).toBe('resolved');
    expect(await within(15_000, queues.close())).toBe('resolved');
  });
});

describe('the queue on servers that replace each other', () => {
  it('goes on after the replica was promoted', async () => {
    const on = await openOn(startRedisSentinel());
    on.recorder.start(on.queue);
    await on.queue.add([itemOf('before')]);
    await whenState(on.queue, 'before', 'finished');
    await on.server.master.kill();
    await whenAnotherRuns(on, 'after');
  });

  it('goes on when a node of the Cluster was killed and is back', async () => {
    const on = await openOn(startRedisCluster());
    const queues = ['openai', 'anthropic', 'gemini', 'mistral', 'cohere', 'ollama'].map((name) =>
      on.queues.queue(name),
    );
    for (const queue of queues) on.recorder.start(queue);
    for (const queue of queues) await queue.add([itemOf(`${queue.name}-before`)]);
    for (const queue of queues) await whenState(queue, `${queue.name}-before`, 'finished');
    await on.server.nodes[1]?.control.kill();
    await on.server.nodes[1]?.control.start();
    for (const queue of queues) await whenAnotherRuns({ queue, recorder: on.recorder }, `${queue.name}-after`);
  });
});

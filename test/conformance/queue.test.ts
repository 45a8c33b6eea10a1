/** What the queue promises, the same on every store it can be on. */

import { entrySchema } from '@waybill/shared/queue/entry.ts';
import { addJobEntries } from '@waybill/shared/queue/job-entries.ts';
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  bullmqJob,
  createQueueRecorder,
  done,
  itemOf,
  type QueueRecorder,
  stateOf,
  whenPicked,
  whenState,
} from '../support/queue-recorder.ts';
import { type QueuesUnderTest, queuesUnderTest } from '../support/queues-under-test.ts';
import { eventually } from '../support/waybill.ts';

describe.each(queuesUnderTest)('the queue on $name', ({ start }) => {
  let store: QueuesUnderTest;
  /** Two processes. */
  let here: QueueBackend;
  let there: QueueBackend;
  let recorder: QueueRecorder;
  let tests = 0;
  const newQueue = () => here.queue(`provider-${tests++}`);

  beforeAll(async () => {
    store = await start();
    console.info(`The queue under test: ${store.source}`);
    here = await store.open();
    there = await store.open();
  }, 120_000);
  afterAll(() => store.stop());
  beforeEach(() => {
    recorder = createQueueRecorder();
  });
  afterEach(() => recorder.stop());

  it('adds an id once, however often it is added, also after it has finished', async () => {
    const queue = newQueue();
    const other = there.queue(queue.name);
    await Promise.all([queue.add([itemOf('a'), itemOf('b')]), queue.add([itemOf('a')]), other.add([itemOf('a')])]);
    await queue.add([itemOf('a')]);
    await other.add([itemOf('a', { delayMs: 60_000 })]);
    expect(await queue.countWaiting()).toBe(2);
    recorder.start(queue);
    await whenState(queue, 'a', 'finished');
    await whenState(queue, 'b', 'finished');
    await queue.add([itemOf('a'), itemOf('c')]);
    await whenState(queue, 'c', 'finished');
    expect(recorder.picked.toSorted()).toEqual(['a', 'b', 'c']);
    expect(await stateOf(queue, 'a')).toBe('finished');
  });

  it('picks a delayed entry up when its time has come, and not before', async () => {
    const queue = newQueue();
    const delayMs = 700;
    const addedAt = Date.now();
    let pickedAt = 0;
    recorder.start(queue, (id) => {
      if (id === 'late') pickedAt = Date.now();
      return done;
    });
    await queue.add([itemOf('late', { delayMs, priority: 0 })]);
    await queue.add([itemOf('now', { priority: 2 })]);
    await whenPicked(recorder.picked, 'late');
    expect(recorder.picked).toEqual(['now', 'late']);
    // The clocks of two processes: a few milliseconds are nobody's fault.
    expect(pickedAt - addedAt).toBeGreaterThan(delayMs - 50);
  });

  it('picks 0 up before 1 before 2, and what came first of each', async () => {
    const queue = newQueue();
    for (const [index, priority] of [2, 1, 0, 2, 1, 0].entries())
      await queue.add([itemOf(`${priority}-${index}`, { priority })]);
    recorder.start(queue, () => done, 1);
    await whenState(queue, '2-3', 'finished');
    expect(recorder.picked).toEqual(['0-2', '0-5', '1-1', '1-4', '2-0', '2-3']);
  });

  it('tries an entry again as often as its handler delays it, and lets others pass meanwhile', async () => {
    const queue = newQueue();
    let rounds = 0;
    recorder.start(queue, (id) => {
      if (id === 'other') return done;
      rounds += 1;
      return rounds <= 6 ? { kind: 'delay', delayMs: 100 } : { kind: 'done', note: `round ${rounds}` };
    });
    await queue.add([itemOf('patient')]);
    await whenState(queue, 'patient', 'delayed');
    await queue.add([itemOf('other')]);
    await whenState(queue, 'other', 'finished');
    await whenState(queue, 'patient', 'finished');
    expect(rounds).toBe(7);
    const job = await bullmqJob(here, queue, 'patient');
    expect({ note: job?.returnvalue, failure: job?.failedReason, fails: job?.stacktrace }).toMatchObject({
      note: 'round 7',
      fails: [],
    });
  });

  it('keeps the note of an entry that failed, without our own frames, and does not try it again', async () => {
    const queue = newQueue();
    const note = 'fallback -> openai/gpt-4.1-mini: overloaded';
    recorder.start(queue, (id) => (id === 'failing' ? { kind: 'failed', note } : done));
    await queue.add([itemOf('failing')]);
    await whenState(queue, 'failing', 'finished');
    await queue.add([itemOf('next')]);
    await whenState(queue, 'next', 'finished');
    const job = await bullmqJob(here, queue, 'failing');
    expect({ note: job?.failedReason, stack: job?.stacktrace }).toEqual({ note, stack: [note] });
    expect(recorder.picked).toEqual(['failing', 'next']);
    expect((await bullmqJob(here, queue, 'next'))?.returnvalue).toBe('succeeded');
  });

  it('goes on after a handler that throws', async () => {
    const queue = newQueue();
    recorder.start(queue, (id) => {
      if (id === 'broken') throw new Error('our own fault');
      return done;
    });
    await queue.add([itemOf('broken'), itemOf('next')]);
    await whenState(queue, 'next', 'finished');
    await whenState(queue, 'broken', 'finished');
    expect(recorder.picked.toSorted()).toEqual(['broken', 'next']);
  });

  it('knows the state of every entry, and of ids it never saw', async () => {
    const queue = newQueue();
    const release = Promise.withResolvers<void>();
    recorder.start(
      queue,
      async (id) => {
        if (id === 'e-active') await release.promise;
        return id === 'e-failed' ? { kind: 'failed', note: 'no' } : done;
      },
      1,
    );
    await queue.add([itemOf('e-done')]);
    await whenState(queue, 'e-done', 'finished');
    await queue.add([itemOf('e-failed')]);
    await whenState(queue, 'e-failed', 'finished');
    await queue.add([itemOf('e-active')]);
    await whenState(queue, 'e-active', 'active');
    await queue.add([
      itemOf('waiting-0', { priority: 0 }),
      itemOf('waiting-2', { priority: 2 }),
      itemOf('e-delayed', { delayMs: 60_000 }),
    ]);
    const expected = {
      'e-done': 'finished',
      'e-failed': 'finished',
      'e-active': 'active',
      'waiting-0': 'waiting',
      'waiting-2': 'waiting',
      'e-delayed': 'delayed',
      never: 'missing',
    };
    const ids = Object.keys(expected);
    for (const backend of [here, there])
      expect(Object.fromEntries(await backend.queue(queue.name).statesOf(ids))).toEqual(expected);
    expect(await queue.statesOf([])).toEqual(new Map());
    expect((await queue.listWaiting(10)).toSorted()).toEqual(['e-delayed', 'waiting-0', 'waiting-2']);
    expect(await queue.countWaiting()).toBe(2);
    const pickedUp = await queue.pickedUpAt(Object.keys(expected));
    expect([...pickedUp.keys()], 'the one that runs now').toEqual(['e-active']);
    expect(Math.abs(Date.now() - (pickedUp.get('e-active') ?? 0))).toBeLessThan(60_000);
    release.resolve();
  });

  it('removes entries that wait, and leaves a running one alone without a word', async () => {
    const queue = newQueue();
    const release = Promise.withResolvers<void>();
    recorder.start(
      queue,
      async (id) => {
        if (id === 'running') await release.promise;
        return done;
      },
      1,
    );
    await queue.add([itemOf('running')]);
    await whenState(queue, 'running', 'active');
    await queue.add([itemOf('waiting'), itemOf('later', { delayMs: 60_000 }), itemOf('kept')]);
    for (const id of ['waiting', 'later', 'running', 'never', 'waiting']) await queue.remove(id);
    expect([...(await queue.statesOf(['waiting', 'later', 'running'])).values()]).toEqual([
      'missing',
      'missing',
      'active',
    ]);
    release.resolve();
    await whenState(queue, 'kept', 'finished');
    await whenState(queue, 'running', 'finished');
    expect(recorder.picked).toEqual(['running', 'kept']);
    // A removed id is free again.
    await queue.add([itemOf('waiting')]);
    await whenState(queue, 'waiting', 'finished');
  });

  it('lists at most as many of each kind as it is asked for', async () => {
    const queue = newQueue();
    const many = Array.from({ length: 12 }, (_, n) => n);
    await queue.add(many.map((n) => itemOf(`zero-${n}`, { priority: 0 })));
    await queue.add(many.map((n) => itemOf(`two-${n}`, { priority: 2 })));
    await queue.add(many.map((n) => itemOf(`late-${n}`, { delayMs: 60_000 })));
    const kinds = (ids: readonly string[]) => Map.groupBy(ids, (id) => id.slice(0, id.indexOf('-')));
    const some = await queue.listWaiting(5);
    expect(new Set(some).size).toBe(some.length);
    for (const [, ids] of kinds(some)) expect(ids.length).toBeLessThanOrEqual(5);
    expect(some.length).toBeGreaterThanOrEqual(5);
    expect([...kinds(await queue.listWaiting(100)).values()].map(({ length }) => length)).toEqual([12, 12, 12]);
    expect(await queue.countWaiting()).toBe(24);
  });

  it('takes 1,200 entries at once, and two processes run each of them once', async () => {
    const queue = newQueue();
    const ids = Array.from({ length: 1_200 }, (_, n) => `job-${n}`);
    await queue.add(ids.map((id, n) => itemOf(id, { priority: n % 3 })));
    expect(await queue.countWaiting()).toBe(1_200);
    expect(new Set((await queue.statesOf(ids)).values())).toEqual(new Set(['waiting']));
    const takenBy = { here: 0, there: 0 };
    const bothRun = Promise.withResolvers<void>();
    const handle = (name: 'here' | 'there') => async () => {
      takenBy[name] += 1;
      if (takenBy.here > 0 && takenBy.there > 0) bothRun.resolve();
      // Neither may finish them all before the other has started.
      await bothRun.promise;
      return done;
    };
    recorder.start(queue, handle('here'), 20);
    recorder.start(there.queue(queue.name), handle('there'), 20);
    await eventually(
      () => recorder.picked.length,
      (length) => length >= 1_200,
    );
    await eventually(
      // Of so many finished entries a Redis keeps a thousand.
      async () => [...(await queue.statesOf(ids)).values()].filter((state) => !/finished|missing/.test(state)),
      (left) => left.length === 0,
    );
    expect(recorder.picked.toSorted()).toEqual(ids.toSorted());
    expect(await queue.countWaiting()).toBe(0);
  });

  it('runs as many at once as its concurrency says, and no more', async () => {
    const queue = newQueue();
    let running = 0;
    let most = 0;
    const full = Promise.withResolvers<void>();
    recorder.start(
      queue,
      async () => {
        running += 1;
        most = Math.max(most, running);
        if (running === 4) full.resolve();
        await full.promise;
        running -= 1;
        return done;
      },
      4,
    );
    const ids = Array.from({ length: 40 }, (_, n) => `job-${n}`);
    await queue.add(ids.map((id) => itemOf(id)));
    await eventually(
      async () => new Set((await queue.statesOf(ids)).values()),
      (states) => states.size === 1 && states.has('finished'),
    );
    expect(most).toBe(4);
  });

  it('a worker sees the entries of its own queue alone', async () => {
    const [mine, theirs] = [newQueue(), newQueue()];
    recorder.start(mine);
    await Promise.all([
      mine.add([itemOf('same id'), itemOf('mine')]),
      theirs.add([itemOf('same id'), itemOf('theirs')]),
    ]);
    await whenState(mine, 'mine', 'finished');
    await whenState(mine, 'same id', 'finished');
    expect(recorder.picked.toSorted()).toEqual(['mine', 'same id']);
    expect([...(await theirs.statesOf(['same id', 'theirs'])).values()]).toEqual(['waiting', 'waiting']);
    expect(await theirs.countWaiting()).toBe(2);
  });

  it('holds ids and numbers of a job, and nothing else of its row', async () => {
    const queue = newQueue();
    const row = {
      id: 'job_1',
      seq: 3,
      attempt: 1,
      tenant_id: 'ten_1',
      target: `${queue.name}/model`,
      provider: queue.name,
      chain: null,
      priority: 2,
      estimated_tokens: 10,
      estimated_output: 4,
      traceparent: null,
    };
    const secrets = { request: 'a prompt', metadata: { user: 'a name' }, custom_id: 'an order', error_message: 'said' };
    await addJobEntries(here, [{ ...row, ...secrets }], 'backlog');
    const entry = await bullmqJob(here, queue, 'job_1-3');
    expect(entrySchema.strict().parse(entry?.data)).toMatchObject({ job: 'job_1', attempt: 2, reason: 'backlog' });
    expect(JSON.stringify(entry?.toJSON())).not.toMatch(/a prompt|a name|an order|said/);
    const seen: unknown[] = [];
    const worker = queue.startWorker(async (data, id) => {
      seen.push([id, data]);
      return done;
    }, 1);
    await whenState(queue, 'job_1-3', 'finished');
    expect(seen).toEqual([['job_1-3', entry?.data]]);
    await worker.close();
  });
});

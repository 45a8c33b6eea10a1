/** How a worker of a queue ends, the same on every store it can be on. */
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  createQueueRecorder,
  done,
  itemOf,
  type QueueRecorder,
  stateOf,
  whenState,
} from '../support/queue-recorder.ts';
import { type QueuesUnderTest, queuesUnderTest } from '../support/queues-under-test.ts';
import { eventually } from '../support/waybill.ts';

describe.each(queuesUnderTest)('a worker of the queue on $name', ({ start }) => {
  let store: QueuesUnderTest;
  let here: QueueBackend;
  let recorder: QueueRecorder;
  let tests = 0;
  const newQueue = () => here.queue(`provider-${tests++}`);

  beforeAll(async () => {
    store = await start();
    console.info(`The queue under test: ${store.source}`);
    here = await store.open();
  }, 120_000);
  afterAll(() => store.stop());
  beforeEach(() => {
    recorder = createQueueRecorder();
  });
  afterEach(() => recorder.stop());

  it('close() waits for the entry that runs, and takes no other', async () => {
    const queue = newQueue();
    const release = Promise.withResolvers<void>();
    const worker = recorder.start(
      queue,
      async () => {
        await release.promise;
        return done;
      },
      1,
    );
    await queue.add([itemOf('running'), itemOf('next')]);
    await whenState(queue, 'running', 'active');
    let isClosed = false;
    const closing = worker.close().then(() => {
      isClosed = true;
    });
    // Some round trips: time enough for a close that does not wait.
    for (let round = 0; round < 20; round++) expect(await stateOf(queue, 'running')).toBe('active');
    expect(isClosed).toBe(false);
    release.resolve();
    await closing;
    expect([...(await queue.statesOf(['running', 'next'])).values()]).toEqual(['finished', 'waiting']);
    expect(recorder.picked).toEqual(['running']);
  });

  it.each([
    ['at once', false],
    ['after a close that waits', true],
  ])('close(true) returns soon although a handler hangs: %s', async (_when, isClosing) => {
    // What is forced here must not be felt by the other tests.
    const queue = (await store.open()).queue(newQueue().name);
    const worker = createQueueRecorder().start(queue, () => new Promise(() => undefined), 1);
    await queue.add([itemOf('hanging')]);
    await whenState(queue, 'hanging', 'active');
    if (isClosing) void worker.close();
    const seen: string[] = [];
    void worker.close(true).then(() => seen.push('closed'));
    await eventually(
      () => seen,
      ({ length }) => length > 0,
      10_000,
    );
    expect(await stateOf(queue, 'hanging')).toBe('active');
  });

  it('a worker that is forced to close leaves the other workers of its process alone', async () => {
    const process = await store.open();
    const [queue, neighbour, later] = [newQueue(), newQueue(), newQueue()].map(({ name }) => process.queue(name));
    if (!queue || !neighbour || !later) throw new Error('three queues');
    const worker = createQueueRecorder().start(queue, () => new Promise(() => undefined), 1);
    recorder.start(neighbour);
    await queue.add([itemOf('hanging')]);
    await whenState(queue, 'hanging', 'active');
    await worker.close(true);
    await neighbour.add([itemOf('after')]);
    await whenState(neighbour, 'after', 'finished', 10_000);
    recorder.start(later);
    await later.add([itemOf('anew')]);
    await whenState(later, 'anew', 'finished', 10_000);
  });
});

import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { endAfterMs, isStuck, type Pickups, startProgress, stuckAfterMs } from './progress.ts';

const idle: Pickups = { slots: 2, running: 0, lastAt: 0, waitingSince: 0 };

test.for<[string, Partial<Pickups>, number, boolean]>([
  ['waited for long enough', {}, 100, true],
  ['waited for less', {}, 99, false],
  ['nothing waits', { waitingSince: null }, 1_000, false],
  ['all slots are busy', { running: 2 }, 1_000, false],
  ['one slot is busy', { running: 1 }, 100, true],
  ['the last pick-up was a moment ago', { lastAt: 950 }, 1_000, false],
  ['entries came a moment ago', { waitingSince: 950 }, 1_000, false],
])('%s', ([, difference, now, expected]) => {
  expect(isStuck({ ...idle, ...difference }, now, 100)).toBe(expected);
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** One queue with entries, and a pool of one slot. */
function start() {
  const queue = { waiting: 5, isReachable: true, fails: false };
  const told: (readonly string[])[] = [];
  const log: string[] = [];
  const queues = {
    isReachable: () => queue.isReachable,
    queue: () => ({
      countWaiting: () => (queue.fails ? Promise.reject(new Error('away')) : Promise.resolve(queue.waiting)),
    }),
  } as unknown as QueueBackend;
  const progress = startProgress({
    queues,
    logger: createLogger({ level: 'error', destination: { write: (line) => void log.push(line) } }),
    onStuck: (names) => told.push(names),
    now: () => Date.now(),
  });
  const calls: { resolve(): void; reject(error: Error): void }[] = [];
  const handler = progress.watch(
    'openai',
    1,
    () => new Promise<void>((resolve, reject) => calls.push({ resolve, reject })),
  );
  return { queue, told, log, progress, calls, handler };
}

test('a pool that picks nothing up though it could is told after a minute, and its process ended after two', async () => {
  const { progress, told, log } = start();
  await vi.advanceTimersByTimeAsync(stuckAfterMs - 10_000);
  expect(progress.stuck()).toEqual([]);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(progress.stuck()).toEqual(['openai']);
  expect(log.join()).toContain('nothing is picked up');
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(endAfterMs - stuckAfterMs);
  expect(told[0]).toEqual(['openai']);
  await progress.stop();
});

test('a pool whose slots are busy is making progress, however long its calls take', async () => {
  const { progress, told, handler, calls } = start();
  const running = handler();
  await vi.advanceTimersByTimeAsync(3 * endAfterMs);
  expect(progress.stuck()).toEqual([]);
  calls[0]?.resolve();
  await running;
  await vi.advanceTimersByTimeAsync(endAfterMs + 20_000);
  expect(progress.stuck(), 'and then does nothing').toEqual(['openai']);
  expect(told).not.toEqual([]);
  await progress.stop();
});

test('a pool that picks up again has recovered', async () => {
  const { progress, told, handler, calls } = start();
  await vi.advanceTimersByTimeAsync(stuckAfterMs + 20_000);
  expect(progress.stuck()).toEqual(['openai']);
  const failing = expect(handler()).rejects.toThrow('refused');
  calls[0]?.reject(new Error('refused'));
  await failing;
  expect(progress.stuck()).toEqual([]);
  await vi.advanceTimersByTimeAsync(stuckAfterMs - 10_000);
  expect(told).toEqual([]);
  await progress.stop();
});

test.for<[string, (queue: ReturnType<typeof start>['queue']) => void]>([
  ['is empty', (queue) => Object.assign(queue, { waiting: 0 })],
  ['cannot be reached', (queue) => Object.assign(queue, { isReachable: false })],
  ['cannot be asked', (queue) => Object.assign(queue, { fails: true })],
])('a queue that %s makes nobody stuck, and the time counts anew afterwards', async ([, change]) => {
  const { queue, progress, told } = start();
  await vi.advanceTimersByTimeAsync(stuckAfterMs - 10_000);
  const before = { ...queue };
  change(queue);
  await vi.advanceTimersByTimeAsync(endAfterMs);
  expect(progress.stuck()).toEqual([]);
  Object.assign(queue, before);
  await vi.advanceTimersByTimeAsync(stuckAfterMs - 10_000);
  expect(progress.stuck()).toEqual([]);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(progress.stuck()).toEqual(['openai']);
  await progress.stop();
});

test('a watched handler takes and answers what the pool gives it', async () => {
  const { progress } = start();
  const handler = progress.watch('groq', 3, async (a: number, b: string) => `${a} ${b}`);
  expect(await handler(1, 'x')).toBe('1 x');
  await progress.stop();
  expect(vi.getTimerCount()).toBe(0);
});

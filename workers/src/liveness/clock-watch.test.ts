import type { Database } from '@waybill/shared/store/database.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startClockWatch } from './clock-watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A database whose clock is so much ahead of ours. */
function start() {
  const theirs = { aheadMs: 0, fails: false };
  const query = async () => {
    if (theirs.fails) throw new Error('away');
    return { rows: [{ ms: Date.now() + theirs.aheadMs }] };
  };
  const log: string[] = [];
  const logger = createLogger({ level: 'error', destination: { write: (line) => void log.push(line) } });
  const watch = startClockWatch({ pool: { query } } as unknown as Database, logger);
  return { theirs, watch, log };
}

test('a clock that goes wrong is noticed within a minute, and so is one that was put right', async () => {
  const { theirs, watch, log } = start();
  await vi.advanceTimersByTimeAsync(0);
  expect(watch.isRight()).toBe(true);
  theirs.aheadMs = 2_001;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(watch.isRight()).toBe(false);
  expect(log).toEqual([expect.stringContaining('differ by more than 2 s')]);
  theirs.aheadMs = -1_999;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(watch.isRight()).toBe(true);
  await watch.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test('a database that does not answer says nothing about the clock', async () => {
  const { theirs, watch } = start();
  await vi.advanceTimersByTimeAsync(0);
  theirs.fails = true;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(watch.isRight()).toBe(true);
  await watch.stop();
});

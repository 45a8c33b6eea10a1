import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { expect, test } from 'vitest';
import { startLoop } from './loop.ts';

const day = 86_400_000;
const silent = createLogger({ level: 'silent' });

/** A round that tells when it ran. */
function rounds() {
  const ran: (() => void)[] = [];
  let count = 0;
  return {
    count: () => count,
    round: async () => {
      count += 1;
      ran.shift()?.();
      return undefined;
    },
    next: () => new Promise<void>((resolve) => ran.push(resolve)),
  };
}

test('a loop runs at once, and again when woken', async () => {
  const each = rounds();
  const loop = startLoop({ name: 'test', intervalMs: day, logger: silent, round: each.round });
  const second = each.next();
  loop.wake();
  await second;
  await loop.stop();
  expect(each.count()).toBe(2);
});

test('a wake during a round is not lost', async () => {
  let release: () => void = () => undefined;
  let count = 0;
  const blocked = new Promise<void>((resolve) => {
    release = resolve;
  });
  const second = Promise.withResolvers<void>();
  const loop = startLoop({
    name: 'test',
    intervalMs: day,
    logger: silent,
    async round() {
      count += 1;
      if (count === 1) await blocked;
      else second.resolve();
      return undefined;
    },
  });
  loop.wake();
  release();
  await second.promise;
  await loop.stop();
});

test('a failing round is logged, and the loop goes on', async () => {
  const lines: string[] = [];
  const logger = createLogger({ level: 'error', destination: { write: (line) => void lines.push(line) } });
  const again = Promise.withResolvers<void>();
  let count = 0;
  const loop = startLoop({
    name: 'brittle',
    intervalMs: 1,
    logger,
    async round() {
      count += 1;
      if (count === 1) throw new Error('once');
      again.resolve();
      return undefined;
    },
  });
  await again.promise;
  await loop.stop();
  expect(lines.join('')).toContain('brittle');
});

test('a stop waits for the running round, and no other follows', async () => {
  const each = rounds();
  const loop = startLoop({ name: 'test', intervalMs: 1, logger: silent, round: each.round });
  await each.next();
  await loop.stop();
  const count = each.count();
  loop.wake();
  await loop.stop();
  expect(each.count()).toBe(count);
});

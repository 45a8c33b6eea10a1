/** Some at a time, in order, and none after the signal. */
import { expect, test } from 'vitest';
import { mapAtMost } from './interruptible.ts';

const never = new AbortController().signal;

test('results come in the order of the questions, whichever ends first', async () => {
  const gates = [1, 2, 3].map(() => Promise.withResolvers<void>());
  const running = mapAtMost([0, 1, 2], 3, never, async (n) => {
    await gates[n]?.promise;
    return n * 10;
  });
  for (const gate of gates.toReversed()) gate.resolve();
  expect(await running).toEqual([0, 10, 20]);
});

test('no more than asked for run at once, and all run', async () => {
  let open = 0;
  let most = 0;
  const results = await mapAtMost(
    Array.from({ length: 20 }, (_, n) => n),
    3,
    never,
    async (n) => {
      open += 1;
      most = Math.max(most, open);
      await new Promise(setImmediate);
      open -= 1;
      return n;
    },
  );
  expect(most).toBe(3);
  expect(results).toHaveLength(20);
});

test('after the signal nothing begins', async () => {
  const stop = new AbortController();
  const begun: number[] = [];
  await mapAtMost([1, 2, 3], 1, stop.signal, async (n) => {
    begun.push(n);
    if (n === 2) stop.abort();
  });
  expect(begun).toEqual([1, 2]);
});

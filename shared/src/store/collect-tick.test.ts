import { expect, test, vi } from 'vitest';
import { collectTick } from './collect-tick.ts';

test('calls of one turn go out together, and each gets its own result', async () => {
  const groups: (readonly number[])[] = [];
  const double = collectTick(
    async (items: readonly number[]) => {
      groups.push(items);
      return items.map((item) => item * 2);
    },
    { maxItems: 10 },
  );
  expect(await Promise.all([double(1), double(2), double(3)])).toEqual([2, 4, 6]);
  expect(await double(4)).toBe(8);
  expect(groups).toEqual([[1, 2, 3], [4]]);
});

test('a group is bounded', async () => {
  const sizes: number[] = [];
  const count = collectTick(
    async (items: readonly number[]) => {
      sizes.push(items.length);
      return items;
    },
    { maxItems: 2 },
  );
  await Promise.all([1, 2, 3, 4, 5].map(count));
  expect(sizes).toEqual([2, 2, 1]);
});

test('one bad item fails alone', async () => {
  const strict = collectTick(
    async (items: readonly number[]) => {
      if (items.includes(13)) throw new Error('unlucky');
      return items;
    },
    { maxItems: 10 },
  );
  const results = await Promise.allSettled([strict(1), strict(13), strict(2)]);
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('where only a smaller statement may help, halves are tried, down to the item that is stuck', async () => {
  const sizes: number[] = [];
  const slow = collectTick(
    async (items: readonly number[]) => {
      sizes.push(items.length);
      if (items.includes(13)) throw new Error('took too long');
      return items;
    },
    { maxItems: 10, again: () => 'halves' },
  );
  const results = await Promise.allSettled([1, 2, 3, 13, 5].map(slow));
  expect(results.map(({ status }) => status === 'fulfilled')).toEqual([true, true, true, false, true]);
  expect(sizes).toEqual([5, 3, 2, 1, 1]);
});

test('what would fail for each fails for all at once', async () => {
  const sizes: number[] = [];
  const slow = collectTick(
    async (items: readonly number[]) => {
      sizes.push(items.length);
      throw new Error('the server is gone');
    },
    { maxItems: 10, again: () => 'none' },
  );
  const results = await Promise.allSettled([slow(1), slow(2), slow(3)]);
  expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(sizes).toEqual([3]);
});

test('what comes while statements are on their way gathers into the next one', async () => {
  const groups: (readonly number[])[] = [];
  const gates: (() => void)[] = [];
  const slow = collectTick(
    async (items: readonly number[]) => {
      groups.push(items);
      await new Promise<void>((resolve) => gates.push(resolve));
      return items;
    },
    { maxItems: 10, maxInFlight: 1 },
  );
  const first = slow(1);
  await vi.waitFor(() => expect(gates).toHaveLength(1));
  const others = [slow(2), slow(3)];
  gates[0]?.();
  expect(await first).toBe(1);
  await vi.waitFor(() => expect(gates).toHaveLength(2));
  others.push(slow(4));
  gates[1]?.();
  await vi.waitFor(() => expect(gates).toHaveLength(3));
  gates[2]?.();
  expect(await Promise.all(others)).toEqual([2, 3, 4]);
  expect(groups).toEqual([[1], [2, 3], [4]]);
});

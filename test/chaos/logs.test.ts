import { expect, test } from 'vitest';
import { floods, groupLogs, mostPerWindow } from './logs.ts';

const lineAt = (atMs: number, msg = 'a queue reported an error') => ({
  name: 'worker-1',
  line: JSON.stringify({ level: 'error', time: new Date(atMs).toISOString(), msg, err: { message: `port ${atMs}` } }),
});
const lines = (count: number, everyMs: number) => Array.from({ length: count }, (_, i) => lineAt(i * everyMs));

test('lines of one cause are one group, whatever numbers are in them', () => {
  const groups = groupLogs([...lines(3, 1_000), lineAt(0, 'another')]);
  expect(groups.map(({ count, densest }) => [count, densest])).toEqual([
    [3, 3],
    [1, 1],
  ]);
});

test('many lines in a short time are a flood, the same over a long time are not', () => {
  expect(floods(groupLogs(lines(mostPerWindow + 1, 50)))).toHaveLength(1);
  expect(floods(groupLogs(lines(mostPerWindow + 1, 500)))).toEqual([]);
});

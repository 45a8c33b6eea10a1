/** A migration that was released has run in databases already, and never runs there again: it stays as it is. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';

const released: [string, string][] = [
  ['0001-tables', '2719d2b08ba023e7'],
  ['0002-claim', '940e70116c7d43b7'],
  ['0003-coordination', 'eb92fe455d169fc1'],
  ['0004-servers', 'fa93f1074c504444'],
  ['0005-providers', '4b836e13bcbd95db'],
  ['0006-streams', '865bac1b50352830'],
];

test.each(released)('%s is as it was released', async (name, hash) => {
  const { statements } = (await import(`./migrations/${name}.ts`)) as { statements: readonly string[] };
  expect(createHash('sha256').update(statements.join('\n')).digest('hex').slice(0, 16)).toBe(hash);
});

/** `npm run bench`: prints what was measured here and now. Variants take turns in one run; quote the ratios. */
import { benchAdapter } from './adapter.ts';
import { benchBacklog } from './backlog.ts';
import { benchBatch } from './batch.ts';
import { benchDecisions } from './decisions.ts';
import { benchDurablePath } from './durable-path.ts';
import { benchFairness } from './fairness.ts';
import { benchFallback } from './fallback.ts';
import { benchPickUp } from './pick-up.ts';
import { benchStart } from './start.ts';

const sections: Readonly<Record<string, () => Promise<string[]>>> = {
  adapter: () => benchAdapter(9, 1_000),
  decisions: () => benchDecisions(25),
  start: () => benchStart(5),
  'pick-up': () => benchPickUp(60),
  backlog: () => benchBacklog([10_000, 1_000_000], 5),
  batch: () => benchBatch(100_000),
  fairness: () => benchFairness(50_000, 100),
  fallback: () => benchFallback(150),
  'durable-path': () => benchDurablePath(5, 2_000),
};

const asked = process.argv.slice(2);
for (const [name, run] of Object.entries(sections)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  process.stdout.write(`\n${name}\n`);
  for (const line of await run()) process.stdout.write(`  ${line}\n`);
}

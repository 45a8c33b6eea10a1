/** Every provider fails three calls of ten, in every way that is retried or goes elsewhere: jobs succeed all the same. */

import type { Arena } from '../arena.ts';
import { answering, type FaultName, faultNames } from '../behaviour.ts';
import type { Shape } from '../load.ts';
import { type Scenario, scaled } from '../scenario.ts';

const share = 0.3;
/**
 * What goes elsewhere at once says something of the request, and seldom comes by chance: each of these is half as likely.
 * Were all kinds as likely as one another, every ninth target would be used up by these alone, whatever is retried, and a
 * chain of three would end 0.13 % of the jobs.
 */
const ofRequest: ReadonlySet<FaultName> = new Set([
  'exceeds_limit',
  'context_length',
  'too_large',
  'unsupported_feature',
]);
const faults = faultNames.flatMap((name) => (ofRequest.has(name) ? [name] : [name, name]));
/** Callers that wait at once: no more than what congestion leaves of three targets takes. */
const together = 12;

const waited: Shape = (customId) => ({
  priority: 'interactive',
  body: { model: 'waited', messages: [{ role: 'user', content: `tokens 20/40 ${customId}` }], max_tokens: 60 },
});

/** A client that waits: submits, and asks until the job has ended. @returns ms */
async function waitedFor({ fleet, load }: Arena): Promise<number> {
  const startedAt = performance.now();
  const id = await load.submitOne(waited);
  for (;;) {
    const { status } = await fleet.client.get(id, { wait: '30s' });
    if (['succeeded', 'failed', 'expired'].includes(status)) return performance.now() - startedAt;
  }
}

const percentile = (times: readonly number[], part: number): number =>
  times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(part * times.length))] ?? 0;

const waits = new WeakMap<Arena, readonly number[]>();

async function run(arena: Arena) {
  const { provider, load, jobs, until, progress, query } = arena;
  for (const name of ['a', 'b', 'c'] as const)
    await provider.behave(name, answering(800, 1_200, { errorShare: share, faults }));
  const calls = scaled(arena, 400, 60);
  const waiting: Promise<number>[] = [];
  for (let n = 0; n < calls; n += together) {
    const slice = Array.from({ length: Math.min(together, calls - n) }, () => waitedFor(arena));
    waiting.push(...slice);
    await Promise.all(slice);
  }
  waits.set(arena, await Promise.all(waiting));
  await query(
    `delete from waybill.webhook_deliveries where job_id in (select id from waybill.jobs where custom_id like 'waited-%')`,
  );
  await load.submit(jobs, { slice: 500 });
  await until('every job is final', async () => (await progress()).final >= load.accepted.size, 3_000_000);
  const failed = await query(`select custom_id, error_kind from waybill.jobs where status = 'failed'`);
  return { failing: new Map(failed.map(({ custom_id: id, error_kind: kind }) => [String(id), String(kind)])) };
}

async function check(arena: Arena): Promise<string[]> {
  const { query, remarks, jobs } = arena;
  const [row] = await query(`
    select count(*) filter (where status = 'succeeded' and chain = 'default')::int as succeeded,
      count(*) filter (where status = 'failed' and error_kind is null)::int as unexplained from waybill.jobs`);
  const kinds = await query(
    'select failure_kind as kind, count(*)::int as n from waybill.attempts where failure_kind is not null group by 1 order by 2 desc',
  );
  const ended = await query(
    `select error_kind as kind, count(*)::int as n from waybill.jobs where status = 'failed' group by 1`,
  );
  const part = Number(row?.succeeded) / jobs;
  const times = waits.get(arena) ?? [];
  const p95 = percentile(times, 0.95);
  remarks.push(
    `${row?.succeeded} of ${jobs} jobs succeeded (${(100 * part).toFixed(3)} %); the others: ${ended.map(({ kind, n }) => `${n} ${kind}`).join(', ') || 'none'}`,
    `waited-for calls: p50 ${Math.round(percentile(times, 0.5))} ms, p95 ${Math.round(p95)} ms of ${times.length}`,
    `failures: ${kinds.map(({ kind, n }) => `${n} ${kind}`).join(', ')}`,
  );
  return [
    ...(part < 0.999 ? [`${(100 * part).toFixed(3)} % of the jobs succeeded`] : []),
    ...(p95 >= 5_000 ? [`p95 of waited-for calls is ${Math.round(p95)} ms`] : []),
    ...(Number(row?.unexplained) > 0 ? [`${row?.unexplained} failed jobs say not why`] : []),
  ];
}

const failingProviders: Scenario = {
  name: 'failing-providers',
  about: 'every provider of three fails 30 % of its calls, in every way that is not final',
  stores: ['redis', 'postgres'],
  jobs: 10_000,
  shortJobs: 300,
  settleLimitS: 120,
  arena: {
    workers: 4,
    limit: 64,
    timeouts: { first_byte: '2s', idle: '2s', total: '10s' },
    shape: (customId) => ({ model: 'default', prompt: `tokens 20/40 ${customId}` }),
    configure: ({ chains, ...rest }) => ({
      ...rest,
      chains: {
        default: { ...chains.default, targets: ['a/m', 'b/m', 'c/m'], strategy: 'balanced', same_target_retries: 3 },
        waited: {
          targets: ['a/m', 'b/m', 'c/m'],
          strategy: 'balanced',
          backoff: { initial: '500ms' },
          same_target_retries: 2,
        },
      },
    }),
  },
  run,
  check: (_, arena) => check(arena),
};

export const failureScenarios: readonly Scenario[] = [failingProviders];

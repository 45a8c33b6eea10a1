/** What the demo says at the end, from the jobs as the API shows them. Pure. */
import type { JobJson } from '@waybill/producer/job-json.ts';
import { formatUsd, parseUsd } from '@waybill/shared/domain/money.ts';
import { table } from '../output.ts';

export interface Summary {
  readonly jobs: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly attempts: number;
  readonly fallbacks: number;
  readonly cost_usd: string;
  readonly cost_unknown_attempts: number;
  readonly webhooks_verified: number;
  readonly p50_ms: number;
  readonly p95_ms: number;
  readonly by_provider: Readonly<Record<string, ProviderSummary>>;
}

interface ProviderSummary {
  attempts: number;
  succeeded: number;
  failed: number;
  cost_usd: string;
}

/** Moves to another target, by the kind of failure that caused them. */
export function fallbacksByReason(jobs: readonly JobJson[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { attempts } of jobs) {
    attempts.forEach((attempt, index) => {
      const before = attempts[index - 1];
      if (!before || before.target === attempt.target) return;
      const reason = before.failure?.kind ?? before.status;
      counts[reason] = (counts[reason] ?? 0) + 1;
    });
  }
  return counts;
}

export function summarise(jobs: readonly JobJson[], webhooksVerified: number): Summary {
  const byProvider: Record<string, ProviderSummary> = {};
  let cost = 0n;
  for (const attempt of jobs.flatMap((job) => job.attempts)) {
    const id = attempt.target.slice(0, attempt.target.indexOf('/'));
    byProvider[id] ??= { attempts: 0, succeeded: 0, failed: 0, cost_usd: '0.00' };
    const provider = byProvider[id];
    const nano = parseUsd(attempt.cost_usd ?? '0') ?? 0n;
    cost += nano;
    provider.attempts += 1;
    provider.cost_usd = formatUsd((parseUsd(provider.cost_usd) ?? 0n) + nano);
    if (attempt.status === 'succeeded') provider.succeeded += 1;
    else provider.failed += 1;
  }
  const durations = jobs
    .flatMap((job) => (job.finished_at === null ? [] : [Date.parse(job.finished_at) - Date.parse(job.created_at)]))
    .toSorted((a, b) => a - b);
  const succeeded = jobs.filter((job) => job.status === 'succeeded').length;
  return {
    jobs: jobs.length,
    succeeded,
    failed: jobs.length - succeeded,
    attempts: jobs.reduce((sum, job) => sum + job.attempts.length, 0),
    fallbacks: Object.values(fallbacksByReason(jobs)).reduce((sum, count) => sum + count, 0),
    cost_usd: formatUsd(cost),
    cost_unknown_attempts: jobs.reduce((sum, job) => sum + job.cost_unknown_attempts, 0),
    webhooks_verified: webhooksVerified,
    p50_ms: percentile(durations, 0.5),
    p95_ms: percentile(durations, 0.95),
    by_provider: byProvider,
  };
}

/** Nearest rank, of sorted values; 0 for none. */
export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;

export function renderSummary(
  summary: Summary,
  reasons: Readonly<Record<string, number>>,
  addresses: readonly string[],
): string {
  const providers = Object.entries(summary.by_provider).map(([id, provider]) => [
    id,
    provider.attempts,
    provider.succeeded,
    provider.failed,
    `$${provider.cost_usd}`,
  ]);
  const why = Object.entries(reasons)
    .toSorted(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${count} ${reason}`)
    .join(', ');
  return [
    `jobs       ${summary.jobs}: ${summary.succeeded} succeeded, ${summary.failed} failed, ${summary.attempts} attempts`,
    `fallbacks  ${summary.fallbacks}${why === '' ? '' : ` (${why})`}`,
    `cost       $${summary.cost_usd}${summary.cost_unknown_attempts > 0 ? `, and ${summary.cost_unknown_attempts} attempts whose cost nobody knows (hung or cut calls)` : ''}`,
    `time       p50 ${summary.p50_ms} ms, p95 ${summary.p95_ms} ms from submit to answer, the wait in the queue included`,
    `webhooks   ${summary.webhooks_verified} of ${summary.jobs} delivered and verified`,
    '',
    table(['provider', 'attempts', 'succeeded', 'failed', 'cost'], providers),
    '',
    ...addresses,
  ].join('\n');
}

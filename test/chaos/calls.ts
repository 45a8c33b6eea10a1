/**
 * The calls at the provider, set beside the attempts: which attempt made which call, and how many were open at once.
 *
 * A worker that was stopped for longer than its lease still holds its calls open when others have taken its jobs. No
 * queue can take such a call back, so these calls are counted apart: from the end of the lease on.
 */
import type { AttemptEvidence, Call, Evidence } from './evidence.ts';

export interface MatchedCall extends Call {
  readonly jobId: string;
  readonly attempt: AttemptEvidence;
  /** When the worker that makes it was dead to the others; in the future for one that lives. */
  readonly leaseEndedAtMs: number;
}

export interface MatchedCalls {
  readonly matched: readonly MatchedCall[];
  /** Calls without an attempt that was there before them. */
  readonly orphans: readonly Call[];
}

/** Both times are of one machine's clock, but one in whole milliseconds. */
const clockToleranceMs = 3;
/** The provider sees an aborted call end only when its own turn comes, which a busy machine delays. */
const abortSeenLateMs = 1_000;

export const customIdOf = (prompt: string): string => prompt.split(' ').at(-1) ?? prompt;

export function matchCalls({ jobs, attempts, workers, calls }: Evidence): MatchedCalls {
  const jobOf = new Map(jobs.map((job) => [job.customId, job.id]));
  const attemptsOf = Map.groupBy(attempts, ({ jobId }) => jobId);
  const leaseEnd = new Map(workers.map(({ id, leaseUntilMs }) => [id, leaseUntilMs]));
  const used = new Set<AttemptEvidence>();
  const matched: MatchedCall[] = [];
  const orphans: Call[] = [];
  for (const call of calls) {
    const jobId = jobOf.get(customIdOf(call.prompt));
    const attempt = (jobId === undefined ? [] : (attemptsOf.get(jobId) ?? [])).findLast(
      (each) =>
        !used.has(each) &&
        each.target.startsWith(`${call.provider}/`) &&
        each.startedAtMs <= call.beganAtMs + clockToleranceMs,
    );
    if (jobId === undefined || attempt === undefined) {
      orphans.push(call);
      continue;
    }
    used.add(attempt);
    const leaseEndedAtMs = leaseEnd.get(attempt.workerId) ?? Number.POSITIVE_INFINITY;
    matched.push({ ...call, jobId, attempt, leaseEndedAtMs });
  }
  return { matched, orphans };
}

const endOf = ({ beganAtMs, endedAtMs, isAborted }: Call): number =>
  endedAtMs === null
    ? Number.POSITIVE_INFINITY
    : isAborted
      ? Math.max(beganAtMs, endedAtMs - abortSeenLateMs)
      : endedAtMs;

export interface Peak {
  readonly open: number;
  readonly atMs: number;
}

/** The most calls open at once per target. @param isHeldCounted also those held open after the lease of their worker */
export function peaks(calls: readonly MatchedCall[], isHeldCounted: boolean): Map<string, Peak> {
  const result = new Map<string, Peak>();
  for (const [target, some] of Map.groupBy(calls, ({ attempt }) => attempt.target)) {
    const steps = some.flatMap((call) => {
      const end = isHeldCounted ? endOf(call) : Math.min(endOf(call), Math.max(call.beganAtMs, call.leaseEndedAtMs));
      return [
        { atMs: call.beganAtMs, by: 1 },
        { atMs: end, by: -1 },
      ];
    });
    // Of one moment, ends first: a place is taken again in the millisecond in which it became free.
    steps.sort((one, other) => one.atMs - other.atMs || one.by - other.by);
    let open = 0;
    let peak: Peak = { open: 0, atMs: 0 };
    for (const { atMs, by } of steps) {
      open += by;
      if (open > peak.open) peak = { open, atMs };
    }
    result.set(target, peak);
  }
  return result;
}

/** Calls of one job that were open at once though the worker of the earlier one was alive. */
export function overlaps(calls: readonly MatchedCall[]): string[] {
  return [...Map.groupBy(calls, ({ jobId }) => jobId)].flatMap(([jobId, some]) =>
    some.flatMap((later, i) =>
      some
        .slice(0, i)
        .filter((earlier) => endOf(earlier) > later.beganAtMs && earlier.leaseEndedAtMs > later.beganAtMs)
        .map(
          (earlier) =>
            `${jobId}: attempt ${later.attempt.n} was called ${Math.round(endOf(earlier) - later.beganAtMs)} ms before the call of attempt ${earlier.attempt.n} ended`,
        ),
    ),
  );
}

/** How often a job was answered in full beyond the first time: each is money for nothing. */
export function paidAgain(calls: readonly MatchedCall[]): Map<string, number> {
  const paid = Map.groupBy(
    calls.filter(({ status }) => status === 200),
    ({ jobId }) => jobId,
  );
  return new Map([...paid].filter(([, some]) => some.length > 1).map(([jobId, some]) => [jobId, some.length - 1]));
}

/** What a run is described by, whether or not it held. */
import { type MatchedCalls, paidAgain, peaks } from './calls.ts';
import type { Evidence } from './evidence.ts';

export interface RunNumbers {
  readonly jobs: number;
  readonly lost: number;
  readonly doubled: number;
  readonly faults: number;
  readonly attempts: number;
  readonly unknown: number;
  readonly superseded: number;
  readonly aborted: number;
  readonly calls: number;
  readonly paidTwice: number;
  /** The most calls open at once on one target, and the limit. */
  readonly highest: number;
  readonly limit: number;
  /** The same with the calls that dead workers still held open. */
  readonly highestHeld: number;
  /** Deliveries beyond one per event. */
  readonly deliveredAgain: number;
  /** From the end of a fault to the next job that ended; null where no job was waiting. */
  readonly worstRecoveryS: number | null;
  /** From the kill of a worker to the next attempt of a job it had; null where it had none. */
  readonly worstTakeoverS: number | null;
  /** From the end of the last fault until the last job ended. */
  readonly doneAfterS: number | null;
}

export function readNumbers(evidence: Evidence, { matched }: MatchedCalls, limit: number): RunNumbers {
  const { accepted, jobs, attempts, calls, delivered, faults } = evidence;
  const withStatus = (status: string) => attempts.filter((attempt) => attempt.status === status).length;
  const finished = new Set(jobs.filter(({ finishedAtMs }) => finishedAtMs !== null).map(({ id }) => id));
  const highestOf = (isHeldCounted: boolean) =>
    Math.max(0, ...[...peaks(matched, isHeldCounted).values()].map(({ open }) => open));
  const told = delivered.filter(({ status }) => status === 204);
  return {
    jobs: accepted.size,
    lost: [...accepted.values()].filter(({ id }) => !finished.has(id)).length,
    doubled: jobs.length - new Set(jobs.map(({ customId }) => customId)).size,
    faults: faults.length,
    attempts: attempts.length,
    unknown: withStatus('unknown'),
    superseded: withStatus('superseded'),
    aborted: withStatus('aborted'),
    calls: calls.length,
    paidTwice: [...paidAgain(matched).values()].reduce((sum, times) => sum + times, 0),
    highest: highestOf(false),
    limit,
    highestHeld: highestOf(true),
    deliveredAgain: told.length - new Set(told.map(({ webhookId }) => webhookId)).size,
    worstRecoveryS: worstRecovery(evidence),
    worstTakeoverS: worstTakeover(evidence),
    doneAfterS: doneAfter(evidence),
  };
}

const toSeconds = (ms: number): number => Math.round(ms / 100) / 10;
const worst = (times: readonly number[]): number | null => (times.length === 0 ? null : toSeconds(Math.max(...times)));

/** Only where some job was waiting at the end of the fault: an idle system has nothing to show. */
function worstRecovery({ faults, jobs }: Evidence): number | null {
  const ends = jobs.flatMap(({ finishedAtMs }) => finishedAtMs ?? []).sort((one, other) => one - other);
  return worst(
    faults.flatMap(({ endedAtMs }) => {
      if (endedAtMs === null || !jobs.some((job) => job.createdAtMs < endedAtMs && (job.finishedAtMs ?? 0) > endedAtMs))
        return [];
      const next = ends.find((at) => at > endedAtMs);
      return next === undefined ? [] : [next - endedAtMs];
    }),
  );
}

function worstTakeover({ faults, attempts, workers, jobs }: Evidence): number | null {
  const killedAt = new Map(
    faults.filter(({ kind }) => kind === 'worker SIGKILL').map(({ pid, startedAtMs }) => [pid, startedAtMs]),
  );
  const deathOf = new Map(workers.map(({ id, pid }) => [id, killedAt.get(pid)]));
  const poisoned = new Set(jobs.filter(({ errorKind }) => errorKind === 'poison_job').map(({ id }) => id));
  const startOf = new Map(attempts.map(({ jobId, n, startedAtMs }) => [`${jobId}#${n}`, startedAtMs]));
  return worst(
    attempts.flatMap(({ jobId, n, status, workerId }) => {
      const diedAt = deathOf.get(workerId);
      const next = startOf.get(`${jobId}#${n + 1}`);
      if (status !== 'unknown' || diedAt === undefined || next === undefined || poisoned.has(jobId)) return [];
      return [next - diedAt];
    }),
  );
}

function doneAfter({ faults, jobs }: Evidence): number | null {
  const lastFault = Math.max(...faults.map(({ endedAtMs, startedAtMs }) => endedAtMs ?? startedAtMs));
  const lastJob = Math.max(...jobs.map(({ finishedAtMs }) => finishedAtMs ?? 0));
  return faults.length === 0 || lastJob < lastFault ? null : toSeconds(lastJob - lastFault);
}

const clockOf = (ms: number): string => new Date(ms).toISOString().slice(11, 23);

/** The job that ended last and its attempts: where a run took long, this is why. */
export function describeLast({ jobs, attempts }: Evidence): string {
  const [last] = jobs.toSorted((one, other) => (other.finishedAtMs ?? 0) - (one.finishedAtMs ?? 0));
  if (!last) return 'no job was stored';
  const own = attempts
    .filter(({ jobId }) => jobId === last.id)
    .map(({ n, target, status, startedAtMs, endedAtMs }) => {
      const end = endedAtMs === null ? 'open' : clockOf(endedAtMs);
      return `#${n} ${target} ${status} ${clockOf(startedAtMs)} to ${end}`;
    });
  return `the last job to end: ${last.customId}, stored ${clockOf(last.createdAtMs)}, ${own.join(', ')}`;
}

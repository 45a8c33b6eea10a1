/** Why a job went where it went, and what stands between it and its end, as users read it. Pure. */
import type { Settings } from '@waybill/shared/config/settings.ts';
import { type FailureKind, failureRules } from '@waybill/shared/domain/failure.ts';
import { type DecisionKind, isFinal, type WaitingReason } from '@waybill/shared/domain/job.ts';
import { formatUsd } from '@waybill/shared/domain/money.ts';
import type { Candidate, SkipReason } from '@waybill/shared/routing/candidates.ts';
import type { BudgetStanding } from '@waybill/shared/store/budget-standing.ts';
import type { AttemptRow, JobRow, JobView } from '@waybill/shared/store/jobs.ts';
import type { DecisionRow } from '@waybill/shared/store/tables.ts';
import { type BudgetJson, budgetJson } from './estimate-json.ts';
import { type JobJson, type QueuePlace, toJobJson } from './job-json.ts';
import { storyOf } from './job-story.ts';

export interface ExplainInput {
  readonly view: JobView;
  readonly place: QueuePlace;
  /** Oldest first. */
  readonly decisions: readonly DecisionRow[];
  /** The job's targets as they stand now, in the order to try. */
  readonly candidates: readonly Candidate[];
  /** At the target where it is. */
  readonly standings: readonly BudgetStanding[];
  readonly settings: Settings;
  /** May read what budgets say that count several tenants. */
  readonly seesAll: boolean;
  readonly nowMs: number;
}

export interface TargetJson {
  readonly target: string;
  /** `tried`: it failed here in this run, in a way that no retry mends, or too often. */
  readonly status: 'eligible' | 'skipped' | 'tried';
  readonly reason: SkipReason | 'not_of_job' | 'left' | FailureKind | null;
  readonly detail: string | null;
  readonly until: string | null;
  /** Of all runs. */
  readonly attempts: number;
  readonly last_failure: string | null;
}

export interface SkippedJson {
  readonly target: string;
  readonly reason: string;
  readonly detail: string;
}

export interface DecisionJson {
  readonly at: string;
  readonly run: number;
  readonly kind: DecisionKind;
  readonly from: string | null;
  readonly to: string | null;
  readonly why: string;
  /** What stood against other targets then. */
  readonly skipped: readonly SkippedJson[];
  readonly config_version: string | null;
}

export interface JobExplanationJson {
  readonly object: 'job_explanation';
  readonly id: string;
  readonly status: JobJson['status'];
  readonly model: string;
  /** null: the model names a target. */
  readonly chain: string | null;
  /** When it was accepted, or retried; and in force now. */
  readonly config_version: string;
  readonly config_version_now: string;
  readonly require: readonly string[];
  readonly detected: readonly string[];
  readonly targets: readonly TargetJson[];
  readonly waiting: {
    readonly reason: WaitingReason;
    readonly since: string;
    readonly until: string | null;
    readonly position: number | null;
    readonly eta_ms: number | null;
  } | null;
  readonly decisions: readonly DecisionJson[];
  readonly attempts: JobJson['attempts'];
  readonly costs: {
    readonly cost_usd: string;
    readonly unknown_attempts: number;
    readonly max_cost_usd: string | null;
    readonly budgets: readonly BudgetJson[];
  };
  /** What the answer is from; null: there is none. */
  readonly answer: 'target' | 'last_resort' | null;
  /** The story in order. */
  readonly summary: readonly string[];
}

export function toExplanationJson(input: ExplainInput): JobExplanationJson {
  const { view, settings } = input;
  const { job } = view;
  const told = toJobJson({ ...view, output: null }, input.place);
  const explained = {
    object: 'job_explanation' as const,
    id: job.id,
    status: job.status,
    model: job.requested_model,
    chain: job.chain,
    config_version: job.config_version,
    config_version_now: settings.version,
    require: job.require,
    detected: job.detected,
    targets: input.candidates.map((candidate) => targetOf(candidate, view, input.nowMs)),
    waiting: waitingOf(job, told.waiting),
    decisions: input.decisions.map(decisionOf),
    attempts: told.attempts,
    costs: {
      cost_usd: told.cost_usd,
      unknown_attempts: told.cost_unknown_attempts,
      max_cost_usd: job.max_cost_nano === null ? null : formatUsd(BigInt(job.max_cost_nano)),
      budgets: input.standings.map((each) => budgetJson(each, input.seesAll)),
    },
    answer: job.status === 'succeeded' ? (job.is_last_resort ? ('last_resort' as const) : ('target' as const)) : null,
  };
  const story = {
    createdAt: told.created_at,
    finishedAt: told.finished_at,
    target: job.target,
    error: told.error,
  };
  return { ...explained, summary: storyOf(explained, story) };
}

function targetOf(candidate: Candidate, { job, attempts }: JobView, nowMs: number): TargetJson {
  const own = attempts.filter(({ target }) => target === candidate.target);
  const failed = own.filter(({ status }) => status === 'failed' || status === 'unknown').at(-1);
  return {
    target: candidate.target,
    ...standingOf(candidate, own, job, nowMs),
    attempts: own.length,
    last_failure: failed === undefined ? null : (failed.failure_kind ?? failed.status),
  };
}

type Standing = Pick<TargetJson, 'status' | 'reason' | 'detail' | 'until'>;

/** What the run itself knows of a target goes before what holds for all jobs. */
function standingOf(candidate: Candidate, own: readonly AttemptRow[], job: JobRow, nowMs: number): Standing {
  const { target } = candidate;
  if (candidate.kind === 'skipped')
    return {
      status: 'skipped',
      reason: candidate.reason,
      detail: candidate.detail,
      until: candidate.untilMs === null ? null : new Date(candidate.untilMs).toISOString(),
    };
  if (!job.targets.includes(target))
    return {
      status: 'skipped',
      reason: 'not_of_job',
      detail: 'not among the targets it was accepted with',
      until: null,
    };
  const isHere = !isFinal(job.status) && target === job.target;
  const last = own.filter(({ run, status }) => run === job.run && status === 'failed').at(-1);
  if (!last || isHere) return { status: 'eligible', reason: null, detail: null, until: null };
  const rule = Object.hasOwn(failureRules, last.failure_kind ?? '')
    ? failureRules[last.failure_kind as FailureKind]
    : null;
  if (!rule?.waiting && rule?.pause == null)
    return {
      status: 'tried',
      reason: last.failure_kind as FailureKind | null,
      detail: 'it failed here in this run',
      until: null,
    };
  return last.retry_at !== null && last.retry_at.getTime() > nowMs
    ? { status: 'skipped', reason: 'left', detail: `left for ${last.failure_kind}`, until: last.retry_at.toISOString() }
    : { status: 'eligible', reason: null, detail: null, until: null };
}

/** @param told as the job itself says it */
function waitingOf(job: JobRow, told: JobJson['waiting']): JobExplanationJson['waiting'] {
  if (told === null) return null;
  const since = job.waiting_since ?? (told.reason === 'schedule' ? job.created_at : later(job.queued_at, job.run_at));
  return {
    reason: told.reason,
    since: since.toISOString(),
    until: told.until ?? job.waiting_until?.toISOString() ?? null,
    position: told.position,
    eta_ms: told.eta_ms,
  };
}

const later = (one: Date, other: Date | null): Date => (other !== null && other > one ? other : one);

function decisionOf(row: DecisionRow): DecisionJson {
  const isFirst = row.kind === 'routed';
  return {
    at: row.at.toISOString(),
    run: row.run,
    kind: row.kind,
    from: isFirst ? null : row.target,
    to: isFirst ? row.target : row.next_target,
    why: row.why,
    skipped: skippedOf(row.detail),
    config_version: row.config_version,
  };
}

/** What is kept is bounded, so a long list may have been cut. */
function skippedOf(detail: string | null): SkippedJson[] {
  try {
    const parsed = JSON.parse(detail ?? '[]') as unknown;
    return Array.isArray(parsed) ? (parsed as SkippedJson[]) : [];
  } catch {
    return [];
  }
}

/** What a request would do if it were sent now, as users read it. Pure: the state of the house comes in. */
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { WaitingReason } from '@waybill/shared/domain/job.ts';
import { formatUsd } from '@waybill/shared/domain/money.ts';
import { costsNothing } from '@waybill/shared/pricing/call-prices.ts';
import type { Candidate, SkipReason } from '@waybill/shared/routing/candidates.ts';
import { type BudgetStanding, standingWord } from '@waybill/shared/store/budget-standing.ts';
import type { CallCosts } from './call-costs.ts';
import type { Route } from './choose-route.ts';
import type { QueuePlace } from './job-json.ts';
import type { JobRequest } from './job-request.ts';

export interface EstimateInput {
  readonly job: Pick<JobRequest, 'runAt' | 'maxCostNano' | 'conversation'>;
  readonly model: string;
  readonly route: Route;
  /** Where it would be put first; null: no target can ever serve it. */
  readonly target: string | null;
  readonly costs: ReadonlyMap<string, CallCosts>;
  readonly standings: readonly BudgetStanding[];
  /** In the backlog of its target; null: it has none. */
  readonly place: QueuePlace | null;
  /** Another turn of its conversation is not over. */
  readonly isBehindTurn: boolean;
  readonly settings: Settings;
  /** May read what budgets say that count several tenants. */
  readonly seesAll: boolean;
  readonly nowMs: number;
}

export interface WaitJson {
  readonly reason: WaitingReason;
  readonly detail: string;
  readonly until: string | null;
  readonly position: number | null;
  readonly eta_ms: number | null;
}

export interface TargetEstimateJson {
  readonly target: string;
  readonly status: 'eligible' | 'skipped';
  readonly reason: SkipReason | null;
  readonly detail: string | null;
  readonly until: string | null;
  readonly is_first: boolean;
  readonly expected_cost_usd: string | null;
  readonly largest_cost_usd: string | null;
  /** Why a cost is null. */
  readonly cost_reason: string | null;
  /** What its budgets would say to a call there, the strictest of them. */
  readonly budget: BudgetWord;
}

export interface JobEstimateJson {
  readonly object: 'job_estimate';
  readonly model: string;
  /** null: the model names a target. */
  readonly chain: string | null;
  readonly config_version: string;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly output_bound: number | null;
  readonly detected: readonly string[];
  readonly require: readonly string[];
  readonly targets: readonly TargetEstimateJson[];
  readonly target: string | null;
  readonly waits: readonly WaitJson[];
  readonly budgets: readonly BudgetJson[];
  readonly warnings: readonly string[];
}

export type BudgetWord = 'fit' | 'wait' | 'exceed';

export interface BudgetJson {
  /** What is counted, and whose part of it: `tenant/month`, `acme`. */
  readonly budget: string;
  readonly subject: string;
  readonly window_start: string;
  /** The amounts of a budget that counts several tenants are for API keys with the scope `admin`; else null. */
  readonly limit_usd: string | null;
  readonly committed_usd: string | null;
  readonly reserved_usd: string | null;
  readonly would: BudgetWord;
}

export function toEstimateJson(input: EstimateInput): JobEstimateJson {
  const { route, target, standings, settings } = input;
  const { needs } = route;
  return {
    object: 'job_estimate',
    model: input.model,
    chain: route.chainName,
    config_version: settings.version,
    input_tokens: needs.inputTokens,
    output_tokens: needs.outputTokens,
    output_bound: needs.outputBound,
    detected: route.detected,
    require: route.require,
    targets: route.candidates.map((candidate) => targetOf(candidate, input)),
    target,
    waits: target === null ? [] : waitsOf(target, input),
    budgets: standings.filter((each) => each.target === target).map((each) => budgetJson(each, input.seesAll)),
    warnings: warningsOf(input),
  };
}

function targetOf(candidate: Candidate, { target, costs, standings }: EstimateInput): TargetEstimateJson {
  const cost = costs.get(candidate.target);
  return {
    target: candidate.target,
    status: candidate.kind,
    reason: candidate.kind === 'skipped' ? candidate.reason : null,
    detail: candidate.kind === 'skipped' ? candidate.detail : null,
    until: candidate.kind === 'skipped' ? isoOf(candidate.untilMs) : null,
    is_first: candidate.target === target,
    expected_cost_usd: usdOf(cost?.expectedNano ?? null),
    largest_cost_usd: usdOf(cost?.largestNano ?? null),
    cost_reason: cost?.reason ?? null,
    budget: strictest(standings.filter((each) => each.target === candidate.target)),
  };
}

const isoOf = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
const usdOf = (nano: bigint | null): string | null => (nano === null ? null : formatUsd(nano));

function strictest(standings: readonly BudgetStanding[]): BudgetWord {
  const words = new Set(standings.map(standingWord));
  return words.has('exceed') ? 'exceed' : words.has('wait') ? 'wait' : 'fit';
}

/** Those about providers and models count what all tenants spend. */
const countsAll = ({ per }: Pick<BudgetStanding, 'per'>): boolean => per === 'provider' || per === 'model';

/** @param seesAll may read what budgets say that count several tenants */
export function budgetJson(standing: BudgetStanding, seesAll: boolean): BudgetJson {
  const shown = (nano: bigint) => (countsAll(standing) && !seesAll ? null : formatUsd(nano));
  return {
    budget: standing.id,
    subject: standing.subject,
    window_start: standing.windowStart.toISOString(),
    limit_usd: shown(standing.limitNano),
    committed_usd: shown(standing.committedNano),
    reserved_usd: shown(standing.reservedNano),
    would: standingWord(standing),
  };
}

/** What ends a skip by itself, in the words of a waiting job. */
const waitFor: Partial<Record<SkipReason, WaitingReason>> = { breaker: 'breaker', limited: 'rate_limit' };
const plainWait = { until: null, position: null, eta_ms: null } as const;

/** In the order in which they would be met. */
function waitsOf(target: string, { job, route, standings, place, isBehindTurn, nowMs }: EstimateInput): WaitJson[] {
  const waits: WaitJson[] = [];
  if (job.runAt !== null && job.runAt.getTime() > nowMs)
    waits.push({
      ...plainWait,
      reason: 'schedule',
      detail: 'run_at is ahead of now',
      until: job.runAt.toISOString(),
    });
  if (isBehindTurn)
    waits.push({ ...plainWait, reason: 'conversation', detail: 'an earlier turn of its conversation is not over' });
  const own = route.candidates.find((candidate) => candidate.target === target);
  if (own?.kind === 'skipped') {
    const reason = waitFor[own.reason] ?? 'recovery';
    waits.push({ ...plainWait, reason, detail: `${target}: ${own.detail}`, until: isoOf(own.untilMs) });
  }
  if (place !== null && place.position !== 1) {
    const ahead = place.position === null ? 'more than 1,000' : `${place.position - 1}`;
    waits.push({
      reason: 'turn',
      detail: `${ahead} of your jobs wait for ${target} before it`,
      until: null,
      position: place.position,
      eta_ms: place.etaMs,
    });
  }
  for (const each of standings.filter((standing) => standing.target === target && standingWord(standing) === 'wait'))
    waits.push({ ...plainWait, reason: 'budget', detail: `calls under way have reserved what is left of ${each.id}` });
  return waits;
}

function warningsOf(input: EstimateInput): string[] {
  const { target, route, settings, model, job, costs, standings } = input;
  if (target === null)
    return [
      `No target of "${model}" can ever serve this: POST /v1/jobs would refuse it with no_eligible_target`,
      ...cloudWarning(settings),
    ];
  const cost = costs.get(target);
  const warnings = cloudWarning(settings);
  const spent = costsNothing(cost?.prices?.expected) ? undefined : standings.find(isSpent);
  if (spent)
    warnings.push(
      `The budget ${spent.id} of "${spent.subject}" is spent: POST /v1/jobs would refuse it with budget_exceeded`,
    );
  else if (strictest(standings.filter((each) => each.target === target)) === 'exceed')
    warnings.push(
      `A budget does not have what a call to ${target} may cost: the job would go on to a target that may be paid for, or fail as budget_exceeded`,
    );
  if (cost?.expectedNano === null)
    warnings.push(
      `What a call to ${target} costs is unknown (${cost.reason}): it would be counted as unknown, not as nothing`,
    );
  if (job.maxCostNano !== null && cost !== undefined && (cost.ceilingNano ?? 0n) > job.maxCostNano)
    warnings.push(
      `max_cost_usd (${formatUsd(job.maxCostNano)}) is less than a call to ${target} may cost (${formatUsd(cost.ceilingNano ?? 0n)}): the job would go on to another target, or fail as budget_exceeded`,
    );
  if (route.needs.outputBound === null)
    warnings.push(
      `Nothing bounds the output: it is taken for ${route.needs.outputTokens} tokens. Set max_tokens for a closer estimate`,
    );
  if (route.chain.mode === 'manual') warnings.push('Each fallback waits until somebody approves it (mode: manual)');
  return warnings;
}

const cloudWarning = ({ privacy }: Settings): string[] =>
  privacy.isCloudOn
    ? []
    : ['Only providers with the label "local" are called: privacy.cloud, or WAYBILL_CLOUD, is off'];

/** As a submit is refused: what is only nearly spent is decided when the job is called. */
const isSpent = (standing: BudgetStanding): boolean =>
  !countsAll(standing) && standing.onExceeded === 'reject' && standing.committedNano >= standing.limitNano;

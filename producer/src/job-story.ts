/** What happened to a job, in plain sentences and in order. Pure. */
import type { DecisionKind, JobStatus, WaitingReason } from '@waybill/shared/domain/job.ts';

interface StoryAttempt {
  readonly n: number;
  readonly target: string;
  readonly status: string;
  readonly failure: { readonly kind: string; readonly http_status: number | null } | null;
  readonly started_at: string;
  readonly duration_ms: number | null;
  readonly cost_usd: string | null;
  readonly cost_basis: string | null;
}

interface StoryDecision {
  readonly at: string;
  readonly kind: DecisionKind;
  readonly from: string | null;
  readonly to: string | null;
  readonly why: string;
  readonly skipped: readonly { readonly target: string; readonly detail: string }[];
}

export interface StoryJob {
  readonly status: JobStatus;
  readonly model: string;
  readonly chain: string | null;
  readonly config_version: string;
  readonly config_version_now: string;
  readonly require: readonly string[];
  readonly detected: readonly string[];
  readonly waiting: {
    readonly reason: WaitingReason;
    readonly until: string | null;
    readonly position: number | null;
  } | null;
  readonly decisions: readonly StoryDecision[];
  readonly attempts: readonly StoryAttempt[];
  readonly costs: { readonly cost_usd: string; readonly unknown_attempts: number };
  readonly answer: 'target' | 'last_resort' | null;
}

export interface StoryEnds {
  readonly createdAt: string;
  readonly finishedAt: string | null;
  readonly target: string;
  readonly error: { readonly kind: string; readonly message: string | null } | null;
}

/** A job that went round for days has more steps than anybody reads: its first and its latest ones are told. */
const toldFirst = 10;
const toldLast = 40;

export function storyOf(job: StoryJob, ends: StoryEnds): string[] {
  const steps = [
    ...job.attempts.map((attempt) => ({ at: attempt.started_at, text: attemptSentence(attempt) })),
    ...job.decisions.map((decision) => ({ at: decision.at, text: decisionSentence(decision) })),
  ]
    .toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at))
    .map(({ text }) => text);
  const left = steps.length - toldFirst - toldLast;
  const told = left > 0 ? [...steps.slice(0, toldFirst), `(${left} more steps)`, ...steps.slice(-toldLast)] : steps;
  return [...beginning(job, ends), ...told, ...present(job, ends)];
}

function beginning({ model, chain, config_version: version, require, detected }: StoryJob, { createdAt }: StoryEnds) {
  const to =
    chain === null
      ? `for the target ${model}`
      : `for the chain "${chain}"${chain === model ? '' : ` (model "${model}")`}`;
  const found = detected.length === 0 ? '' : `, and its request holds ${detected.join(', ')}`;
  return [
    `Accepted at ${createdAt} ${to}, under configuration ${version}.`,
    ...(require.length === 0 && found === ''
      ? []
      : [
          `It requires ${require.length === 0 ? 'no label' : `the label${require.length === 1 ? '' : 's'} ${require.join(', ')}`}${found}.`,
        ]),
  ];
}

function attemptSentence({
  n,
  target,
  status,
  failure,
  duration_ms: ms,
  cost_usd: cost,
  cost_basis: basis,
}: StoryAttempt) {
  const took = ms === null ? '' : ` after ${ms} ms`;
  const paid =
    cost === null ? (basis === null ? '' : ', at an unknown cost') : Number(cost) > 0 ? `, for $${cost}` : '';
  const name = `Attempt ${n} at ${target}`;
  switch (status) {
    case 'started':
      return `${name} is under way.`;
    case 'succeeded':
      return `${name} was answered${took}${paid}.`;
    case 'failed': {
      const http = failure?.http_status == null ? '' : ` (HTTP ${failure.http_status})`;
      return `${name} failed${took}: ${failure?.kind ?? 'unknown'}${http}${paid}.`;
    }
    case 'aborted':
      return `${name} was ended by Waybill${took}${paid}.`;
    case 'superseded':
      return `${name} came too late to count${took}${paid}.`;
    default:
      return `${name} ended with its worker; what became of it is unknown${paid}.`;
  }
}

function decisionSentence({ kind, from, to, why, skipped }: StoryDecision): string {
  const out = skipped.map((each) => `${each.target} (${each.detail})`).join(', ');
  const because = skipped.length === 0 ? '' : `; not possible: ${out}`;
  switch (kind) {
    case 'routed':
      return `It began at ${to}; left out: ${out === '' ? 'none' : out}.`;
    case 'fall_back':
      return `It went on from ${from} to ${to}: ${why}${because}.`;
    case 'wait':
      return `It waited for ${to ?? from} to recover: ${why}${because}.`;
    case 'retry':
      return `It was started again at ${to ?? from}, ${why}.`;
    case 'park':
      return `Somebody was asked whether it may go from ${from} to ${to}: ${why}${because}.`;
    case 'approve':
      return `It was allowed to go on${to === null ? '' : ` to ${to}`}.`;
    case 'refuse':
      return `It was not allowed to go on${to === null ? '' : ` to ${to}`}.`;
    case 'fail':
      return `From ${from} there was nowhere to go on to: ${why}${because}.`;
    case 'pause':
      return `It was paused, ${why}.`;
    case 'resume':
      return `It was resumed, ${why}.`;
  }
}

const waits: Readonly<Record<WaitingReason, (target: string) => string>> = {
  rate_limit: (target) => `a limit of ${target}`,
  budget: () => 'a budget, which calls under way have reserved',
  breaker: (target) => `the breaker of ${target}`,
  backoff: (target) => `its next try at ${target}`,
  approval: (target) => `somebody to let it go to ${target}`,
  schedule: () => 'its time (run_at)',
  turn: (target) => `its turn at ${target}`,
  conversation: () => 'an earlier turn of its conversation',
  paused: () => 'somebody to resume it',
  recovery: (target) => `${target} to recover`,
};

function present(job: StoryJob, { finishedAt, target, error }: StoryEnds): string[] {
  const { status, waiting, costs, answer } = job;
  const cost = `$${costs.cost_usd}${costs.unknown_attempts === 0 ? '' : ` and ${costs.unknown_attempts} attempt(s) of unknown cost`}`;
  const changed =
    waiting === null || job.config_version === job.config_version_now
      ? []
      : [`The configuration is ${job.config_version_now} now: its policy decides what comes next.`];
  if (status === 'succeeded')
    return [
      answer === 'last_resort'
        ? `It ended at ${finishedAt}: no target answered, so the chain's last resort did. Cost: ${cost}.`
        : `It succeeded at ${finishedAt} with the answer of ${target}. Cost: ${cost}.`,
    ];
  if (status === 'failed')
    return [
      `It failed at ${finishedAt} as ${error?.kind ?? 'unknown'}: ${error?.message ?? 'no message'}. Cost: ${cost}.`,
    ];
  if (status === 'cancelled') return [`It was cancelled at ${finishedAt}. Cost: ${cost}.`];
  if (status === 'expired') return [`It expired at ${finishedAt}, its deadline. Cost: ${cost}.`];
  if (waiting === null) return changed;
  const until = waiting.until === null ? '' : `, until ${waiting.until}`;
  const position = waiting.position === null ? '' : `, at position ${waiting.position} of its tenant's jobs`;
  return [...changed, `It waits for ${waits[waiting.reason](target)}${until}${position}.`];
}

/**
 * The failure taxonomy, as data.
 *
 * A provider's error is translated into one of these kinds where it enters (`providers/`), and everything after
 * that decides by kind alone. `action` is the default; a chain may override it with `on`.
 */
export type FailureAction = 'retry' | 'fallback' | 'fail' | 'succeed';
/**
 * What a failure takes out for a while. A provider limits accounts, refuses credentials, and may do either for one model
 * alone.
 */
export const pauseScopes = [
  'provider',
  'model',
  'endpoint',
  'account',
  'account_model',
  'credential',
  'credential_model',
] as const;
export type PauseScope = (typeof pauseScopes)[number];

export interface FailureRule {
  readonly action: FailureAction;
  /** Uses up one of the run's `max_attempts`. Waiting and misconfiguration do not. */
  readonly counts: boolean;
  /** The wait ends by itself and is bounded by the job's deadline alone. */
  readonly waiting: boolean;
  /** At most this many retries on one target; null: the chain's `same_target_retries`. */
  readonly retries: number | null;
  /** What `candidates` skips, and for how long when the provider named no time. */
  readonly pause: { readonly scope: PauseScope; readonly ms: number } | null;
}

const minute = 60_000;
const hour = 60 * minute;
const rule = (action: FailureAction, counts: boolean, more: Partial<FailureRule> = {}): FailureRule => ({
  action,
  counts,
  waiting: false,
  retries: null,
  pause: null,
  ...more,
});

export const failureRules = {
  rate_limit: rule('retry', false, { waiting: true }),
  quota_period: rule('fallback', false, { waiting: true, pause: { scope: 'account_model', ms: hour } }),
  exceeds_limit: rule('fallback', true),
  billing: rule('fallback', false, { pause: { scope: 'account', ms: hour } }),
  auth: rule('fallback', false, { pause: { scope: 'credential', ms: hour } }),
  permission: rule('fallback', false, { pause: { scope: 'credential_model', ms: hour } }),
  region: rule('fallback', false, { pause: { scope: 'provider', ms: hour } }),
  model_not_found: rule('fallback', false, { pause: { scope: 'model', ms: 10 * minute } }),
  overloaded: rule('retry', true, { retries: 2 }),
  capacity_tier: rule('retry', true),
  server_error: rule('retry', true, { retries: 1 }),
  timeout: rule('retry', true, { retries: 1 }),
  network: rule('retry', true, { retries: 1 }),
  stream_interrupted: rule('retry', true),
  model_loading: rule('retry', false, { waiting: true }),
  context_length: rule('fallback', true),
  too_large: rule('fallback', true),
  unsupported_feature: rule('fallback', false),
  invalid_request: rule('fail', false),
  config: rule('fallback', false, { pause: { scope: 'provider', ms: 10 * minute } }),
  content_filter: rule('fail', true),
  refusal: rule('succeed', false),
  bad_output: rule('retry', true, { retries: 2 }),
  cancelled: rule('fail', false),
  unknown: rule('retry', true, { retries: 1 }),
} as const satisfies Record<string, FailureRule>;

export type FailureKind = keyof typeof failureRules;
export const failureKinds = Object.keys(failureRules) as FailureKind[];
export const failureRule = (kind: FailureKind): FailureRule => failureRules[kind];

/** A pause that a provider's words ask for, where the kind alone asks for none. */
const scopedPauseMs = minute;

/** What a failure takes out, and for how long when the provider named no time; null: nothing. */
export function pauseOf({ kind, scope }: Pick<Failure, 'kind' | 'scope'>): { scope: PauseScope; ms: number } | null {
  const { pause } = failureRule(kind);
  if (scope !== undefined) return { scope, ms: pause?.ms ?? scopedPauseMs };
  return pause;
}

/** Why a job, not an attempt, ended without an answer. */
export const finalKinds = [
  'expired',
  'budget_exceeded',
  'requirement_unmet',
  'poison_job',
  'attempts_exhausted',
  'refused_approval',
] as const;
export type FinalKind = (typeof finalKinds)[number];

/** A failed attempt as the rest of the system sees it: no body of the provider's, no secret, no prompt. */
export interface Failure {
  readonly kind: FailureKind;
  readonly message: string;
  readonly httpStatus: number | null;
  /** The provider's own wait, already parsed and bounded; null when it named none. */
  readonly retryAfterMs: number | null;
  /** What it takes out, where the provider said more than its kind does (a whole account on hold); else as its kind. */
  readonly scope?: PauseScope;
  /** The provider said that asking it again is of no use. */
  readonly isFinalHere?: true;
}

import { expect, test } from 'vitest';
import {
  type Failure,
  type FailureKind,
  type FailureRule,
  failureKinds,
  failureRule,
  type PauseScope,
  pauseOf,
} from './failure.ts';

const minute = 60_000;
const hour = 60 * minute;
const plain: FailureRule = { action: 'fallback', counts: true, waiting: false, retries: null, pause: null };
const table: Record<FailureKind, Partial<FailureRule>> = {
  rate_limit: { action: 'retry', counts: false, waiting: true },
  quota_period: { counts: false, waiting: true, pause: { scope: 'account_model', ms: hour } },
  exceeds_limit: {},
  billing: { counts: false, pause: { scope: 'account', ms: hour } },
  auth: { counts: false, pause: { scope: 'credential', ms: hour } },
  permission: { counts: false, pause: { scope: 'credential_model', ms: hour } },
  region: { counts: false, pause: { scope: 'provider', ms: hour } },
  model_not_found: { counts: false, pause: { scope: 'model', ms: 10 * minute } },
  overloaded: { action: 'retry', retries: 2 },
  capacity_tier: { action: 'retry' },
  server_error: { action: 'retry', retries: 1 },
  timeout: { action: 'retry', retries: 1 },
  network: { action: 'retry', retries: 1 },
  stream_interrupted: { action: 'retry' },
  model_loading: { action: 'retry', counts: false, waiting: true },
  context_length: {},
  too_large: {},
  unsupported_feature: { counts: false },
  invalid_request: { action: 'fail', counts: false },
  config: { counts: false, pause: { scope: 'provider', ms: 10 * minute } },
  content_filter: { action: 'fail' },
  refusal: { action: 'succeed', counts: false },
  bad_output: { action: 'retry', retries: 2 },
  cancelled: { action: 'fail', counts: false },
  unknown: { action: 'retry', retries: 1 },
};

test('the taxonomy has these kinds and no other', () => {
  expect(failureKinds.toSorted()).toEqual(Object.keys(table).toSorted());
});

test.for(Object.entries(table) as [FailureKind, Partial<FailureRule>][])(
  '%s is handled as the taxonomy says',
  ([kind, expected]) => {
    expect(failureRule(kind)).toEqual({ ...plain, ...expected });
  },
);

test.for(failureKinds.filter((kind) => failureRule(kind).waiting))(
  '%s waits, and so never uses up an attempt',
  (kind) => {
    expect(failureRule(kind).counts).toBe(false);
  },
);

test.for<[string, Pick<Failure, 'kind' | 'scope'>, { scope: PauseScope; ms: number } | null]>([
  ['what its kind takes out, where the provider said no more', { kind: 'auth' }, { scope: 'credential', ms: hour }],
  ['nothing, where its kind takes nothing out', { kind: 'overloaded' }, null],
  [
    'what the provider named, for as long as its kind says',
    { kind: 'auth', scope: 'account' },
    { scope: 'account', ms: hour },
  ],
  [
    'what the provider named, for a minute, where its kind takes nothing out',
    { kind: 'rate_limit', scope: 'account' },
    { scope: 'account', ms: minute },
  ],
])('a failure takes out %s', ([, failure, expected]) => {
  expect(pauseOf(failure)).toEqual(expected);
});

import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import type { FailureKind } from '@waybill/shared/domain/failure.ts';
import { type Usage, usageSchema } from '@waybill/shared/domain/usage.ts';
import { failure } from '@waybill/shared/providers/dialect.ts';
import type { CallMeta, CallResult } from '@waybill/shared/providers/transport.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { expect, test } from 'vitest';
import type { Carried } from './carried.ts';
import { conclude, type Ended, nextOf } from './conclude.ts';
import type { Delivery } from './delivery.ts';

const parsed = parseEnvironment({});
if (parsed.kind === 'faults') throw new Error('the empty environment is valid');
const model = { input_usd_per_million: '1', output_usd_per_million: '2' };
const { providers } = settingsOf(
  { providers: { p: { preset: 'openai-compatible', base_url: 'http://127.0.0.1:1/v1', models: { m: model } } } },
  parsed.environment,
  'the test',
);
const [provider] = Object.values(providers);
if (!provider) throw new Error('the provider is configured');

const usage: Usage = usageSchema.parse({ inputTokens: 1_000, outputTokens: 500 });
const text: Carried = { kind: 'text', text: 'so far', usage, rounds: 1 };
const vectors: Carried = { kind: 'vectors', target: 'p/m', model: null, vectors: [[1]], usage };
const delivery: Delivery = {
  model: 'm-1',
  providerId: null,
  usage,
  warnings: ['of the answer'],
  finishReasons: ['stop'],
  fault: null,
  carried: null,
  kept: null,
  output: ({ jobId, createdAtMs }) => `output of ${jobId} at ${createdAtMs}`,
};
const meta: CallMeta = { firstByteMs: 3, httpStatus: 200, requestId: 'req', isSent: true, limitHeaders: {} };
const answered = (more: Partial<Delivery> = {}): CallResult<Delivery> => ({
  kind: 'answer',
  answer: { ...delivery, ...more },
  meta,
});
const failed = (
  kind: FailureKind,
  { partial = null, retryAfterMs = null, httpStatus = 500 }: FailedInput = {},
): CallResult<Delivery> => ({
  kind: 'failure',
  failure: failure(kind, 'no', { retryAfterMs }),
  partial,
  meta: { ...meta, httpStatus },
});
interface FailedInput {
  partial?: Delivery | null;
  retryAfterMs?: number | null;
  httpStatus?: number | null;
}
const nowMs = 1_000_000;
const base: Ended = {
  job: {
    id: 'job_1',
    attempt: 4,
    tenant_id: 'ten_1',
    priority: 1,
    endpoint: '/v1/chat/completions',
    require: [],
    deadline_at: new Date(nowMs + 3_600_000),
  } as unknown as JobRow,
  target: 'p/m',
  provider,
  chain: { ...chainOfTarget('p/m'), targets: ['p/m', 'q/m'] },
  configVersion: 'v1',
  candidates: [
    { target: 'p/m', kind: 'eligible' },
    { target: 'q/m', kind: 'eligible' },
  ],
  history: [],
  result: answered(),
  carried: null,
  isOpenElsewhere: false,
  warnings: ['of the request'],
  durationMs: 12,
  nowMs,
  random: 0,
  retryInMs: 0,
  barred: null,
  windowOf: (target) => (target === 'p/m' ? 10 : 20),
};
const run = (result: CallResult<Delivery>, more: Partial<Ended> = {}) => conclude({ ...base, ...more, result });
const continuing = { chain: { ...base.chain, resume: 'continue' as const } };

test('an answer ends the job, with its price', () => {
  expect(run(answered())).toMatchObject({
    end: {
      jobId: 'job_1',
      attempt: 4,
      status: 'succeeded',
      usage,
      // 1,000 tokens at $1 and 500 at $2 per million.
      cost: { nano: 2_000_000n, basis: 'computed' },
      warnings: ['of the request', 'of the answer'],
      isPart: false,
      hadCarried: false,
    },
    next: { kind: 'succeed', output: 'output of job_1 at 1000000' },
    decided: null,
    isRetry: false,
  });
});

test('a part of an answer sends the job back to where it is at once, with what it has', () => {
  expect(run(answered({ carried: vectors }))).toMatchObject({
    end: { status: 'succeeded', isPart: true, failure: null, cost: { nano: 2_000_000n } },
    next: { kind: 'requeue', target: 'p/m', delayMs: 0, waiting: null, window: 10, carried: JSON.stringify(vectors) },
    decided: null,
    isRetry: false,
  });
});

test('a fault is a failure that is paid for, and its action wins over that of its kind', () => {
  const bad = failure('bad_output', 'no JSON');
  const again = run(answered({ fault: { failure: bad } }));
  expect(again.end).toMatchObject({ status: 'failed', failure: { kind: 'bad_output' }, cost: { nano: 2_000_000n } });
  expect(again.next).toMatchObject({ kind: 'requeue', target: 'p/m' });
  const moved = run(answered({ fault: { failure: bad, action: 'fallback' } }));
  expect(moved.next).toMatchObject({ kind: 'requeue', target: 'q/m', window: 20 });
  const ended = run(answered({ fault: { failure: bad, action: 'fail' } }));
  expect(ended.next).toEqual({ kind: 'fail', error: 'bad_output', message: 'p/m: no JSON (bad_output)' });
});

test('a refusal is an answer, unless the chain says otherwise', () => {
  const refused = answered({ fault: { failure: failure('refusal', 'no') } });
  expect(run(refused)).toMatchObject({ end: { status: 'succeeded', failure: null }, next: { kind: 'succeed' } });
  expect(run(refused, { chain: { ...base.chain, on: { refusal: 'fallback' } } }).next).toMatchObject({ target: 'q/m' });
});

test.for<[string, CallResult<Delivery>, Partial<Ended>, string, Carried | null]>([
  ['nothing where the chain begins anew', failed('timeout', { partial: { ...delivery, kept: text } }), {}, 'p/m', null],
  [
    'a text where the chain goes on',
    failed('timeout', { partial: { ...delivery, kept: text } }),
    continuing,
    'p/m',
    text,
  ],
  [
    'a text at the next target',
    failed('stream_interrupted', { partial: { ...delivery, kept: text } }),
    { chain: { ...continuing.chain, mode: 'immediate' } },
    'q/m',
    text,
  ],
  [
    'nothing of an answer that was wrong, not broken',
    failed('bad_output', { partial: { ...delivery, kept: text } }),
    continuing,
    'p/m',
    null,
  ],
  ['the vectors so far, when the same target is asked again', failed('timeout'), { carried: vectors }, 'p/m', vectors],
  ['no vectors at another target', failed('context_length'), { carried: vectors }, 'q/m', null],
  ['an earlier text, when nothing came this time', failed('timeout'), { ...continuing, carried: text }, 'p/m', text],
  [
    'the state in which a shutdown left it',
    { kind: 'stopped', reason: 'shutdown', meta },
    { carried: vectors },
    'p/m',
    vectors,
  ],
])('the next attempt goes on from %s', ([, result, more, target, carried]) => {
  const { next, end } = run(result, more);
  expect(next).toMatchObject({
    kind: 'requeue',
    target,
    carried: carried === null ? null : JSON.stringify(carried),
  });
  expect(end.hadCarried).toBe(more.carried !== undefined);
});

test('a call that was stopped is neither a success nor a failure', () => {
  const { end, decided, isRetry } = run({ kind: 'stopped', reason: 'shutdown', meta });
  expect(end).toMatchObject({ status: 'aborted', failure: null, cost: { nano: null, reason: 'aborted' } });
  expect(decided).toBeNull();
  expect(isRetry).toBe(false);
});

test('another credential of the same target is tried at once', () => {
  expect(run(failed('auth', { httpStatus: 401 }), { isOpenElsewhere: true }).next).toMatchObject({
    target: 'p/m',
    delayMs: 0,
  });
  expect(run(failed('auth', { httpStatus: 401 })).next).toMatchObject({ target: 'q/m' });
});

test.for<[string, CallResult<Delivery>, number | null]>([
  ["at the provider's own time", failed('rate_limit', { retryAfterMs: 9_000 }), nowMs + 9_000],
  ['when its pause ends', failed('auth'), nowMs + 3_600_000],
  ['at once while retries are left', failed('server_error'), nowMs],
  ['no more in this run', failed('context_length'), null],
])('a target comes back %s', ([, result, retryAtMs]) => {
  expect(run(result).end.retryAtMs).toBe(retryAtMs);
});

test('a job without a target left says so, and what it carried goes no further', () => {
  expect(nextOf({ kind: 'fail', error: 'requirement_unmet' }, { ...base, carried: text }, null)).toEqual({
    kind: 'fail',
    error: 'requirement_unmet',
    message: 'no target may serve this job',
  });
});

test.for<[string, CallResult<Delivery>, Partial<Ended>, boolean]>([
  ['a call of the same target again', failed('server_error'), {}, true],
  ['a fallback', failed('context_length'), {}, false],
  ['a wait for a limit', failed('rate_limit', { retryAfterMs: 1_000, httpStatus: 429 }), {}, false],
  ['another credential', failed('auth', { httpStatus: 401 }), { isOpenElsewhere: true }, false],
])('the budget of retries is asked for %s: %s', ([, result, more, isRetry]) => {
  expect(run(result, more).isRetry).toBe(isRetry);
});

test('a retry over the budget goes elsewhere, and waits for its turn where there is nowhere else', () => {
  expect(run(failed('server_error'), { retryInMs: 700 })).toMatchObject({
    next: { kind: 'requeue', target: 'q/m' },
    decided: { kind: 'fall_back', why: 'server_error (HTTP 500)' },
    isRetry: false,
  });
  const alone = { retryInMs: 700, candidates: [{ target: 'p/m', kind: 'eligible' as const }] };
  expect(run(failed('server_error'), alone).next).toMatchObject({ kind: 'requeue', target: 'p/m', delayMs: 700 });
});

test('what is decided says why, and what stood against the others', () => {
  const found: Ended['candidates'] = [
    { target: 'p/m', kind: 'eligible' },
    { target: 'x/m', kind: 'skipped', reason: 'breaker', detail: 'its breaker is open', untilMs: null },
    { target: 'q/m', kind: 'eligible' },
  ];
  expect(run(failed('context_length', { httpStatus: 400 }), { candidates: found })).toMatchObject({
    next: { kind: 'requeue', target: 'q/m' },
    decided: {
      kind: 'fall_back',
      why: 'context_length (HTTP 400)',
      detail: JSON.stringify([{ target: 'x/m', reason: 'breaker', detail: 'its breaker is open' }]),
      configVersion: 'v1',
    },
  });
});

test('in manual mode a fallback is parked, and a retry is not', () => {
  const chain = { ...base.chain, mode: 'manual' as const };
  expect(run(failed('context_length'), { chain })).toMatchObject({
    next: { kind: 'park', target: 'q/m' },
    decided: { kind: 'park' },
  });
  expect(run(failed('server_error'), { chain }).next).toMatchObject({ kind: 'requeue', target: 'p/m' });
});

const only: Ended['candidates'] = [{ target: 'p/m', kind: 'eligible' }];

test('when no target answered, the last resort does, and says so', () => {
  const chain = { ...base.chain, lastResort: 'We are closed.' };
  const { end, next, decided } = run(failed('context_length'), { chain, candidates: only });
  expect(end.status).toBe('failed');
  expect(decided).toMatchObject({ kind: 'fail', why: 'context_length (HTTP 500); the last resort answers' });
  if (next.kind !== 'succeed') throw new Error('it was answered');
  expect(next.isLastResort).toBe(true);
  expect(JSON.parse(next.output).choices[0].message.content).toBe('We are closed.');
});

test.for<[string, CallResult<Delivery>, Partial<Ended>]>([
  ['embeddings', failed('context_length'), { job: { ...base.job, endpoint: '/v1/embeddings' } }],
  ['a chain without one', failed('context_length'), { chain: base.chain }],
])('no last resort is there for %s', ([, result, more]) => {
  const chain = { ...base.chain, lastResort: 'We are closed.' };
  expect(run(result, { chain, candidates: only, ...more }).next).toMatchObject({ kind: 'fail' });
});

const bar = { require: ['local'], detected: ['email'] as const };

test('a request that must not go to the target goes to one that may have it, and requires its labels from now on', () => {
  const notSent: CallResult<Delivery> = { kind: 'stopped', reason: 'shutdown', meta: { ...meta, isSent: false } };
  const { end, next, decided } = run(notSent, { barred: bar });
  expect(end).toMatchObject({ status: 'aborted', failure: null, cost: { nano: 0n } });
  expect(next).toMatchObject({
    kind: 'requeue',
    target: 'q/m',
    delayMs: 0,
    found: { require: ['local'], detected: ['email'] },
  });
  expect(decided).toMatchObject({ kind: 'fall_back', why: 'privacy: email' });
});

test('a request that no target may have fails with the labels it wants', () => {
  const notSent: CallResult<Delivery> = { kind: 'stopped', reason: 'shutdown', meta: { ...meta, isSent: false } };
  expect(run(notSent, { barred: bar, candidates: only })).toMatchObject({
    next: {
      kind: 'fail',
      error: 'requirement_unmet',
      message: 'no target that may be used has the labels local, which it needs (privacy: email)',
    },
    decided: { kind: 'fail' },
  });
});

test('a job whose attempts were used up by calls that nobody knows the end of is not called again', () => {
  const notSent: CallResult<Delivery> = { kind: 'stopped', reason: 'exhausted', meta: { ...meta, isSent: false } };
  expect(run(notSent)).toMatchObject({
    end: { status: 'aborted', cost: { nano: 0n } },
    next: { kind: 'fail', error: 'attempts_exhausted' },
    decided: { kind: 'fail', why: 'attempts used up' },
  });
  const chain = { ...base.chain, lastResort: 'We are closed.' };
  expect(run(notSent, { chain }).next).toMatchObject({ kind: 'succeed', isLastResort: true });
});

test.for([
  ['shutdown', 0, 0],
  ['lost_lease', 0.9, 0],
  ['unread', 0, 2_000],
  ['too_late', 0, 500],
  ['too_late', 0.5, 750],
] as const)(
  'a job that was not called because of %s, with dice at %d, comes again in %d ms',
  ([reason, random, delayMs]) => {
    const result: CallResult<Delivery> = { kind: 'stopped', reason, meta: { ...meta, isSent: false } };
    expect(conclude({ ...base, result, random }).next).toMatchObject({ kind: 'requeue', target: 'p/m', delayMs });
  },
);

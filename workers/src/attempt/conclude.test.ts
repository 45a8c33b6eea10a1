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
    failure: null,
  });
});

test('a part of an answer sends the job back to where it is at once, with what it has', () => {
  expect(run(answered({ carried: vectors }))).toMatchObject({
    end: { status: 'succeeded', isPart: true, failure: null, cost: { nano: 2_000_000n } },
    next: { kind: 'requeue', target: 'p/m', delayMs: 0, waiting: null, window: 10, carried: JSON.stringify(vectors) },
    failure: null,
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
  const { end, failure: told } = run({ kind: 'stopped', reason: 'shutdown', meta });
  expect(end).toMatchObject({ status: 'aborted', failure: null, cost: { nano: null, reason: 'aborted' } });
  expect(told).toBeNull();
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
  ['never, as far as anybody knows', failed('server_error'), null],
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

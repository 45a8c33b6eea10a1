import type { JobRow } from '@waybill/shared/store/jobs.ts';
import type { AttemptEnd, NextStep } from '@waybill/shared/store/settle.ts';
import { expect, test } from 'vitest';
import { type Prior, tellingOf } from './telling.ts';

const job = {
  id: 'job_0123',
  run: 2,
  custom_id: 'doc',
  batch_id: null,
  status: 'in_progress',
  target: 'p/m',
  error_kind: null,
  error_message: null,
  metadata: {},
  webhook_endpoint_id: 'whe_1',
  webhook_events: [],
} as unknown as JobRow;
const usage = {
  inputTokens: 10,
  outputTokens: 5,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
};
const priced = { nano: 30_000_000n, basis: 'computed', reason: null, price: null } as const;
const unpriced = { nano: null, basis: 'unknown', reason: 'no_usage', price: null } as const;
const endOf = (cost: unknown) => ({ target: 'p/m', usage, cost }) as unknown as AttemptEnd;
const prior: Prior = { nano: 20_000_000n, unknown: 1, parts: [] };
const nowMs = Date.parse('2026-01-02T03:04:05.678Z');

const tell = (next: NextStep, { row = job, cost = priced as unknown, before = prior } = {}) => {
  const decided = { kind: 'fall_back', why: 'timeout', detail: null, configVersion: 'v1' } as const;
  const telling = tellingOf(row, { end: endOf(cost), next, decided, isRetry: false }, before, nowMs);
  return telling && { ...telling, payload: JSON.parse(telling.payload) };
};

test('a success is told with the cost of all attempts', () => {
  expect(tell({ kind: 'succeed', output: 'canary' })).toMatchObject({
    eventId: 'evt_0123_2_succeeded',
    type: 'job.succeeded',
    payload: {
      timestamp: '2026-01-02T03:04:05.678Z',
      data: { status: 'succeeded', target: 'p/m', cost_usd: '0.05', cost_unknown_attempts: 1, error: null },
    },
  });
  expect(JSON.stringify(tell({ kind: 'succeed', output: 'canary' }))).not.toContain('canary');
});

test('an attempt whose cost nobody knows is counted', () => {
  const told = tell({ kind: 'succeed', output: '' }, { cost: unpriced });
  expect(told?.payload.data).toMatchObject({ cost_usd: '0.02', cost_unknown_attempts: 2 });
});

test('an answer that came in parts is told with the usage of all of them, unknown when that of one is', () => {
  const inParts = (parts: Prior['parts']) => tell({ kind: 'succeed', output: '' }, { before: { ...prior, parts } });
  expect(inParts([usage, usage])?.payload.data.usage).toMatchObject({ prompt_tokens: 30, completion_tokens: 15 });
  expect(inParts([usage, null])?.payload.data.usage).toBeNull();
});

test.for([
  ['timeout', 'job.failed', 'failed'],
  ['expired', 'job.expired', 'expired'],
] as const)('a job that ends with %s is told as %s, with the reason and without usage', ([error, type, status]) => {
  expect(tell({ kind: 'fail', error, message: 'too late' })).toMatchObject({
    eventId: `evt_0123_2_${status}`,
    type,
    payload: { type, data: { status, target: null, usage: null, error: { kind: error, message: 'too late' } } },
  });
});

test('a job that goes on tells nothing, nor does one that nobody asked about', () => {
  const again: NextStep = { kind: 'requeue', target: 'p/m', delayMs: 0, waiting: null, window: 1, carried: null };
  expect(tell(again)).toBeNull();
  const unasked = { ...job, webhook_endpoint_id: null };
  expect(tell({ kind: 'succeed', output: '' }, { row: unasked })).toBeNull();
});

const away: NextStep = { kind: 'requeue', target: 'q/m', delayMs: 0, waiting: null, window: 1, carried: null };
const here: NextStep = { ...away, target: 'p/m' };
const park: NextStep = { kind: 'park', target: 'q/m' };
const asking = (...events: readonly string[]) => ({ ...job, webhook_events: events }) as JobRow;

test.for<[string, NextStep, readonly string[], string | null]>([
  ['a fallback to whoever asked for it', away, ['job.fallback'], 'job.fallback'],
  ['a fallback to nobody else', away, ['job.awaiting_approval'], null],
  ['a job that waits for approval', park, ['job.fallback', 'job.awaiting_approval'], 'job.awaiting_approval'],
  ['a job that waits for approval to nobody else', park, ['job.fallback'], null],
  ['no retry', here, ['job.fallback', 'job.awaiting_approval'], null],
])('%s is told', ([, next, events, type]) => {
  const told = tell(next, { row: asking(...events) });
  expect(told?.type ?? null).toBe(type);
  if (type !== null)
    expect(told?.payload).toMatchObject({ type, data: { target: 'p/m', next_target: 'q/m', reason: 'timeout' } });
});

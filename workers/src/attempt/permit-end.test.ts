import type { Coordination, PermitEnd } from '@waybill/shared/coordination/coordination.ts';
import type { FailureKind } from '@waybill/shared/domain/failure.ts';
import { failure } from '@waybill/shared/providers/dialect.ts';
import type { CallMeta, CallResult } from '@waybill/shared/providers/transport.ts';
import type { Entry } from '@waybill/shared/queue/entry.ts';
import { expect, test } from 'vitest';
import type { WorkerContext } from '../worker-context.ts';
import type { Delivery } from './delivery.ts';
import { settlePermit } from './permit-end.ts';

const meta: CallMeta = { firstByteMs: 1, httpStatus: 200, requestId: null, isSent: true, limitHeaders: {} };
const delivery = (inputTokens: number | null): Delivery => ({
  model: null,
  providerId: null,
  usage:
    inputTokens === null
      ? null
      : {
          inputTokens,
          outputTokens: 10,
          cacheReadTokens: 0,
          cacheWriteTokens: 0,
          cacheWrite1hTokens: 0,
          reasoningTokens: 0,
          audioInputTokens: 0,
          audioOutputTokens: 0,
        },
  warnings: [],
  finishReasons: [],
  fault: null,
  carried: null,
  kept: null,
  output: () => '',
});
const answered = (more: Partial<CallMeta> = {}, inputTokens: number | null = 40): CallResult<Delivery> => ({
  kind: 'answer',
  answer: delivery(inputTokens),
  meta: { ...meta, ...more },
});
const failed = (
  kind: FailureKind,
  more: { retryAfterMs?: number; meta?: Partial<CallMeta>; partial?: Delivery } = {},
): CallResult<Delivery> => ({
  kind: 'failure',
  failure: failure(kind, 'no', { retryAfterMs: more.retryAfterMs ?? null }),
  partial: more.partial ?? null,
  meta: { ...meta, httpStatus: 429, ...more.meta },
});
const stopped: CallResult<Delivery> = { kind: 'stopped', reason: 'cancelled', meta: { ...meta, httpStatus: null } };

async function settle(result: CallResult<Delivery>): Promise<{ end: PermitEnd; pauses: unknown[] }> {
  const ends: PermitEnd[] = [];
  const pauses: unknown[] = [];
  const coordination = {
    settlePermit: async (end: PermitEnd) => void ends.push(end),
    pause: async (...pause: unknown[]) => pauses.push(pause),
  } as unknown as Coordination;
  const fleet = { forget: () => undefined };
  const permit = {
    token: 't',
    target: 'p/m',
    epoch: 'e',
    place: { id: 'a@2', account: 'a', endpoint: 'http://127.0.0.1:1', concurrency: 7 },
    isAlone: true,
    takenAtMs: performance.now(),
  };
  const entry = { tenant: 'ten_1', estimate: 100 } as Entry;
  await settlePermit(permit, entry, result, { coordination, fleet, now: () => 1_000_000 } as unknown as WorkerContext);
  const [end] = ends;
  if (ends.length !== 1 || !end) throw new Error('the permit was not settled once');
  return { end, pauses };
}
const endOf = async (result: CallResult<Delivery>) => (await settle(result)).end;

test('the place is freed by the token it was taken with', async () => {
  expect(await endOf(answered())).toMatchObject({
    token: 't',
    target: 'p/m',
    place: 'a@2',
    concurrency: 7,
    tenantId: 'ten_1',
    estimated: 100,
    heldMs: expect.any(Number),
  });
});

test.for([
  ['an answer', answered(), 'eased'],
  ['a rate limit', failed('rate_limit'), 'congested'],
  ['an overloaded server', failed('overloaded'), 'congested'],
  ['a broken server', failed('server_error'), 'none'],
  ['a refused credential', failed('auth'), 'none'],
  ['a cancelled call', stopped, 'none'],
] as const)('%s says of the place: %s', async ([, result, pressure]) => {
  expect((await endOf(result)).pressure).toBe(pressure);
});

const left = (remaining: string, reset: string, unit = 'requests') => ({
  [`x-ratelimit-limit-${unit}`]: '100',
  [`x-ratelimit-remaining-${unit}`]: remaining,
  [`x-ratelimit-reset-${unit}`]: reset,
});
test.for<[string, CallResult<Delivery>, number]>([
  ['not after a plain answer', answered(), 0],
  ['not while enough is left', answered({ limitHeaders: left('50', '6s') }), 0],
  ['until the reset when nothing is left', answered({ limitHeaders: left('0', '6s') }), 6_000],
  ['a part of the time for each request that is left', answered({ limitHeaders: left('4', '8s') }), 2_000],
  ['a part of the time for what a call used', answered({ limitHeaders: left('4', '8s', 'tokens') }), 8_000],
  ['as long as a refusal says', failed('rate_limit', { retryAfterMs: 9_000 }), 9_000],
  ['not at all when a refusal says nothing', failed('rate_limit'), 0],
  [
    'the longer of what a refusal says and what is left',
    failed('rate_limit', { retryAfterMs: 500, meta: { limitHeaders: left('0', '6s') } }),
    6_000,
  ],
  ['not after a failure of another kind', failed('overloaded', { retryAfterMs: 9_000 }), 0],
])('the place rests %s', async ([, result, restMs]) => {
  expect((await endOf(result)).restMs).toBe(restMs);
});

test('a long rest is told to the fleet, and its permits are refused for a part of it', async () => {
  const { end, pauses } = await settle(failed('rate_limit', { retryAfterMs: 30_000 }));
  expect(end.restMs).toBe(10_000);
  expect(pauses).toEqual([['account_model:p/a/m', 'rate_limit', 1_030_000]]);
  expect((await settle(failed('rate_limit', { retryAfterMs: 9_000 }))).pauses).toEqual([]);
});

test.for<[string, CallResult<Delivery>, number]>([
  ['what the answer says', answered(), 50],
  ['the estimate of an answer that says nothing', answered({}, null), 100],
  ['the estimate of a stream that was cut', failed('stream_interrupted', { meta: { httpStatus: 200 } }), 100],
  ['what a failed answer says', failed('bad_output', { partial: delivery(20) }), 30],
  ['nothing of a refused call', failed('rate_limit'), 0],
  ['nothing of a call that was never sent', failed('network', { meta: { httpStatus: null, isSent: false } }), 0],
  ['the estimate of a call nobody knows about', failed('timeout', { meta: { httpStatus: null } }), 100],
  ['the estimate of a call that was stopped', stopped, 100],
])('used is %s', async ([, result, used]) => {
  expect((await endOf(result)).used).toBe(used);
});

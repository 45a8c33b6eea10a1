import { noRateLimits } from '@waybill/shared/config/resolve-limits.ts';
import type {
  BreakerReading,
  Coordination,
  PermitEnd,
  UnusedPermit,
} from '@waybill/shared/coordination/coordination.ts';
import type { FailureKind } from '@waybill/shared/domain/failure.ts';
import { failure } from '@waybill/shared/providers/dialect.ts';
import type { CallMeta, CallResult } from '@waybill/shared/providers/transport.ts';
import type { Entry } from '@waybill/shared/queue/entry.ts';
import { defaultBreaker } from '@waybill/shared/routing/breaker.ts';
import { rateLimits } from '@waybill/shared/routing/limits.ts';
import { expect, test } from 'vitest';
import type { WorkerContext } from '../worker-context.ts';
import type { Delivery } from './delivery.ts';
import type { Permit } from './permit.ts';
import { settlePermit } from './permit-end.ts';

const meta: CallMeta = { firstByteMs: 1, httpStatus: 200, requestId: null, isSent: true, limitHeaders: {} };
const delivery = (inputTokens: number | null, cacheReadTokens = 0): Delivery => ({
  model: null,
  providerId: null,
  usage:
    inputTokens === null
      ? null
      : {
          inputTokens,
          outputTokens: 10,
          cacheReadTokens,
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

const breaker = { windowMs: 45_000, latencySpike: null as number | null };
const reservation = {
  size: { inputTokens: 70, outputTokens: 30 },
  limits: rateLimits({ ...noRateLimits, tokensPerMinute: 10_000 }),
  atMs: 7,
};

async function settle(
  result: CallResult<Delivery>,
  more: Partial<Permit> & { dialect?: string; latencySpike?: number; reading?: BreakerReading } = {},
): Promise<{ end: PermitEnd; pauses: unknown[]; swaps: unknown[] }> {
  const { dialect = 'openai', latencySpike = null, reading = null, ...ofPermit } = more;
  const ends: PermitEnd[] = [];
  const pauses: unknown[] = [];
  const swaps: unknown[] = [];
  const coordination = {
    async settlePermit(end: PermitEnd) {
      ends.push(end);
      return reading;
    },
    swapBreaker: async (...swap: unknown[]) => {
      swaps.push(swap);
      return true;
    },
    pause: async (...pause: unknown[]) => pauses.push(pause),
  } as unknown as Coordination;
  const fleet = { forget: () => undefined };
  const permit = {
    token: 't',
    target: 'p/m',
    epoch: 'e',
    place: { id: 'a@2', account: 'a', endpoint: 'http://127.0.0.1:1', concurrency: 7 },
    isAlone: true,
    isProbe: false,
    reservation: null,
    takenAtMs: performance.now(),
    ...ofPermit,
  };
  const entry = { tenant: 'ten_1', estimate: 100 } as Entry;
  const settings = { breaker: { ...defaultBreaker, ...breaker, latencySpike }, providers: { p: { dialect } } };
  const context = { coordination, fleet, settings: () => settings, now: () => 1_000_000, random: () => 0.5 };
  await settlePermit(permit, entry, result, context as unknown as WorkerContext);
  const [end] = ends;
  if (ends.length !== 1 || !end) throw new Error('the permit was not settled once');
  return { end, pauses, swaps };
}
/** Of the rates. @param isSent a request counts, whatever came of it */
const unused = (isSent: boolean) => ({ used: { inputTokens: 0, outputTokens: 0 }, isSent });
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

test.for<[string, CallResult<Delivery>, Partial<Permit> & { dialect?: string }, object | undefined]>([
  ['nothing where nothing was reserved', answered(), {}, undefined],
  ['what the answer says', answered(), { reservation }, { used: { inputTokens: 40, outputTokens: 10 }, isSent: true }],
  [
    'what was reserved, of an answer that says nothing',
    answered({}, null),
    { reservation },
    { used: reservation.size },
  ],
  ['what was reserved, of a call that was stopped', stopped, { reservation }, { used: reservation.size, isSent: true }],
  ['nothing of a refused call, which counts as a request', failed('rate_limit'), { reservation }, unused(true)],
  [
    'nothing of a call that was never sent',
    failed('network', { meta: { httpStatus: null, isSent: false } }),
    { reservation },
    unused(false),
  ],
  [
    'what was read from a cache, too',
    { kind: 'answer', answer: delivery(40, 25), meta },
    { reservation },
    { used: { inputTokens: 40, outputTokens: 10 } },
  ],
  [
    'what was not read from a cache, at Anthropic',
    { kind: 'answer', answer: delivery(40, 25), meta },
    { reservation, dialect: 'anthropic' },
    { used: { inputTokens: 15, outputTokens: 10 } },
  ],
])('of its rates a call used %s', async ([, result, more, rates]) => {
  const { end } = await settle(result, more);
  if (rates === undefined) expect(end).not.toHaveProperty('rates');
  else expect(end.rates).toMatchObject({ ...reservation, ...rates });
});

test.for<[string, CallResult<Delivery>, PermitEnd['outcome']]>([
  ['an answer', answered(), 'success'],
  ['an answer of no use', failed('bad_output', { partial: delivery(20) }), 'success'],
  ['a broken server', failed('server_error'), 'failure'],
  ['a rate limit', failed('rate_limit'), 'neither'],
  ['a cancelled call', stopped, 'neither'],
])('%s counts for the breaker', async ([, result, outcome]) => {
  expect(await endOf(result)).toMatchObject({
    outcome,
    isProbe: false,
    breakerWindowMs: 45_000,
    isLatencyWatched: false,
  });
});

test('a probe says that it is one, and what latency says is watched where the policy asks for it', async () => {
  const { end } = await settle(answered(), { isProbe: true, latencySpike: 3 });
  expect(end).toMatchObject({ isProbe: true, isLatencyWatched: true });
});

test('where the end may change the breaker, it is told', async () => {
  const counts = { consecutive: 0, ok: 0, failed: 0, latencyMs: 0, usual: { ok: 0, failed: 0, latencyMs: 0 } };
  const state = { kind: 'half_open', successes: 0, cooldownMs: 1, why: 'manual', sinceMs: 0 } as const;
  const reading: BreakerReading = { target: 'p/m', version: 4, state, counts };
  const { swaps } = await settle(answered(), { isProbe: true, reading });
  expect(swaps).toEqual([[reading, { ...state, successes: 1 }, 't']]);
});

test('a call that was stopped before it was sent gives back all it reserved, and ends as no call', async () => {
  const back: UnusedPermit[] = [];
  const coordination = { givePermitBack: async (permit: UnusedPermit) => void back.push(permit) };
  const place = { id: 'a', account: 'a', endpoint: 'http://127.0.0.1:1', concurrency: 7 };
  const permit = {
    token: 't',
    target: 'p/m',
    epoch: 'e',
    place,
    isAlone: true,
    isProbe: true,
    reservation,
    takenAtMs: 0,
  };
  const result: CallResult<Delivery> = { ...stopped, meta: { ...meta, isSent: false, httpStatus: null } };
  await settlePermit(permit, {} as Entry, result, { coordination } as unknown as WorkerContext);
  expect(back).toEqual([{ token: 't', target: 'p/m', place: 'a', isProbe: true, reservation }]);
});

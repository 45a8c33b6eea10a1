/** Calls whose rates are limited, in windows so short that a test sees them pass. */
import { soleAccount } from '@waybill/shared/config/model-settings.ts';
import type { Coordination, HeldPermit, PermitAnswer, Reservation } from '@waybill/shared/coordination/coordination.ts';
import { amountOf, type CallSize, type RateLimit, type RateUnit } from '@waybill/shared/routing/limits.ts';
import { callEnd } from './coordination-under-test.ts';

/** As the real ones: sixty slots are the period, three more are counted. */
export const shortLimit = (unit: RateUnit, limit: number, slotMs: number, isPaced = false): RateLimit => ({
  ...{ name: unit, unit, limit, slotMs, isPaced },
  ...{ periodMs: 60 * slotMs, slots: 63 },
});

export const sizeOf = (inputTokens: number, outputTokens = 0): CallSize => ({ inputTokens, outputTokens });

/** A call that went. */
export interface RatedCall extends HeldPermit {
  readonly reservation: Reservation;
}

export interface Asking {
  readonly target: string;
  readonly limits: readonly RateLimit[];
  readonly size: CallSize;
  readonly jobId?: string;
  readonly places?: readonly string[];
  readonly concurrency?: number;
  readonly epoch?: string;
}

let tokens = 0;

export async function ask(
  process: Coordination,
  { target, limits, size, jobId, places = [soleAccount], concurrency = 1_000, epoch = 'epoch-1' }: Asking,
): Promise<{ answer: PermitAnswer; call: RatedCall | null }> {
  const token = `rated-${tokens++}`;
  const answer = await process.takePermit({
    ...{ token, target, epoch },
    places: places.map((id) => ({ id, concurrency })),
    rates: { jobId: jobId ?? token, size, limits },
  });
  if (answer.kind !== 'go') return { answer, call: null };
  return { answer, call: { token, target, place: answer.place, reservation: { size, limits, atMs: answer.atMs } } };
}

/** @param used null: what was reserved */
export const settleRated = (
  process: Coordination,
  { reservation, ...permit }: RatedCall,
  used: CallSize | null = null,
  isSent = true,
) =>
  process.settlePermit({
    ...callEnd,
    ...permit,
    rates: { ...reservation, used: used ?? reservation.size, isSent },
  });

export interface LoggedCall {
  readonly atMs: number;
  readonly used: CallSize;
}

/** The most that any stretch of a limit's period has of it. */
export function mostInPeriod(log: readonly LoggedCall[], { unit, periodMs }: RateLimit): number {
  const calls = log.toSorted((a, b) => a.atMs - b.atMs);
  let [most, sum, first] = [0, 0, 0];
  for (const { atMs, used } of calls) {
    sum += amountOf(unit, used);
    for (let oldest = calls[first]; oldest && oldest.atMs <= atMs - periodMs; oldest = calls[first]) {
      sum -= amountOf(unit, oldest.used);
      first += 1;
    }
    most = Math.max(most, sum);
  }
  return most;
}

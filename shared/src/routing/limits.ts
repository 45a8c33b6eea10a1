/**
 * Rate limits of an account and model: what the permit reserves, and when there is room. Pure.
 *
 * A limit holds two tests. What was reserved in a trailing window that is a little longer than the limit's period, and
 * the call itself, must not be more than the limit: exact, whatever the provider counts from. And a pacing bucket must be
 * above zero, so that a minute's worth is not spent in its first second. The stores do the same in one step
 * (`coordination/`); this model says what they must do, and is what their tests compare them with.
 */
import type { RateLimits } from '../config/settings.ts';

/** What a call takes of an account's limits. */
export interface CallSize {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export type RateUnit = 'requests' | 'tokens' | 'input' | 'output';

export interface RateLimit {
  /** `rpm`, `tpm` …: as the configuration calls it. */
  readonly name: string;
  readonly unit: RateUnit;
  readonly limit: number;
  readonly periodMs: number;
  /** The window that is counted: so many slots. */
  readonly slotMs: number;
  readonly slots: number;
  readonly isPaced: boolean;
}

/**
 * A call starts at most this long after its permit, else it asks again: the trailing window is longer than the period by
 * it, and by the slot that is not over.
 */
export const startWithinMs = 2_000;
const minute = { periodMs: 60_000, slotMs: 1_000, slots: 63, isPaced: true };
const day = { periodMs: 86_400_000, slotMs: 600_000, slots: 146, isPaced: false };

export function rateLimits(limits: RateLimits): RateLimit[] {
  const all: readonly [name: string, unit: RateUnit, limit: number | null, window: typeof minute][] = [
    ['rpm', 'requests', limits.requestsPerMinute, minute],
    ['tpm', 'tokens', limits.tokensPerMinute, minute],
    ['input_tpm', 'input', limits.inputTokensPerMinute, minute],
    ['output_tpm', 'output', limits.outputTokensPerMinute, minute],
    ['rpd', 'requests', limits.requestsPerDay, day],
    ['tpd', 'tokens', limits.tokensPerDay, day],
  ];
  return all.flatMap(([name, unit, limit, window]) => (limit === null ? [] : [{ name, unit, limit, ...window }]));
}

export function amountOf(unit: RateUnit, { inputTokens, outputTokens }: CallSize): number {
  if (unit === 'requests') return 1;
  if (unit === 'input') return inputTokens;
  return unit === 'output' ? outputTokens : inputTokens + outputTokens;
}

/** The limit that such a call can never keep; null: none. */
export const exceededBy = (limits: readonly RateLimit[], size: CallSize): RateLimit | null =>
  limits.find((each) => amountOf(each.unit, size) > each.limit) ?? null;

/** What was reserved of one limit. */
export interface RateWindow {
  /** Amounts by the number of their slot, since the beginning of time. */
  readonly slots: ReadonlyMap<number, number>;
  /** Of the pacing bucket; negative after a large call. */
  readonly level: number;
  readonly atMs: number;
}

/** The bucket holds this part of a limit. */
export const pacingShare = 0.05;

export const freshWindow = ({ limit }: RateLimit, nowMs: number): RateWindow => ({
  slots: new Map(),
  level: limit * pacingShare,
  atMs: nowMs,
});

const slotAt = ({ slotMs }: RateLimit, atMs: number): number => Math.floor(atMs / slotMs);

/** The window as it is now: slots that are over fall out, the bucket is refilled. Its clock never goes back. */
export function windowAt(window: RateWindow, limit: RateLimit, nowMs: number): RateWindow {
  const atMs = Math.max(window.atMs, nowMs);
  const oldest = slotAt(limit, atMs) - limit.slots + 1;
  const refilled = window.level + ((atMs - window.atMs) * limit.limit) / limit.periodMs;
  return {
    slots: new Map([...window.slots].filter(([slot]) => slot >= oldest)),
    level: Math.min(limit.limit * pacingShare, refilled),
    atMs,
  };
}

const reservedIn = (window: RateWindow): number => window.slots.values().reduce((sum, amount) => sum + amount, 0);

/** 0: now. @param amount at most the limit */
export function waitFor(amount: number, window: RateWindow, limit: RateLimit, nowMs: number): number {
  const current = windowAt(window, limit, nowMs);
  const paced = limit.isPaced && current.level <= 0 ? 1 - (current.level * limit.periodMs) / limit.limit : 0;
  let excess = reservedIn(current) + amount - limit.limit;
  let untilMs = current.atMs;
  for (const [slot, reserved] of [...current.slots].toSorted(([a], [b]) => a - b)) {
    if (excess <= 0) break;
    excess -= reserved;
    untilMs = (slot + limit.slots) * limit.slotMs;
  }
  return Math.max(paced, untilMs - current.atMs);
}

export function reserve(amount: number, window: RateWindow, limit: RateLimit, nowMs: number): RateWindow {
  const current = windowAt(window, limit, nowMs);
  return change(amount, current, slotAt(limit, current.atMs));
}

/** What was really used takes the place of what was reserved then; of a slot that is over only the bucket learns. */
export function correct(
  difference: number,
  reservedAtMs: number,
  window: RateWindow,
  limit: RateLimit,
  nowMs: number,
): RateWindow {
  const current = windowAt(window, limit, nowMs);
  const newest = slotAt(limit, current.atMs);
  const slot = Math.min(slotAt(limit, reservedAtMs), newest);
  const isOver = slot <= newest - limit.slots;
  return isOver ? { ...current, level: current.level - difference } : change(difference, current, slot);
}

const change = (amount: number, window: RateWindow, slot: number): RateWindow => ({
  ...window,
  slots: new Map(window.slots).set(slot, (window.slots.get(slot) ?? 0) + amount),
  level: window.level - amount,
});

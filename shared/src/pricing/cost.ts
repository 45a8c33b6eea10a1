/**
 * What an attempt cost.
 *
 * Known zero and unknown are different facts: a refused call (429, 5xx, no connection) is a known zero; a timeout
 * or a cut stream may have been billed, and stays `null` with its reason until somebody knows better.
 */
import type { FailureKind } from '../domain/failure.ts';
import type { NanoUsd } from '../domain/money.ts';
import type { Usage } from '../domain/usage.ts';
import { type ConfiguredPrice, type Priced, priceByConfiguration, priceByTable } from './price.ts';

export type CostBasis = 'computed' | 'free' | 'none' | 'unpriced' | 'unknown';
export type CostReason =
  | 'no_price'
  | 'no_usage'
  | 'timeout'
  | 'stream_interrupted'
  | 'connection_lost'
  | 'aborted'
  | 'worker_lost'
  | 'price_fault';

export interface Cost {
  /** null: unknown. */
  readonly nano: NanoUsd | null;
  readonly basis: CostBasis;
  readonly reason: CostReason | null;
  readonly price: Priced | null;
}

export interface PriceContext {
  /** The price table's name of the provider; null for a local one, whose tokens cost nothing. */
  readonly pricesAs: string | null;
  readonly isLocal: boolean;
  readonly configured: ConfiguredPrice | null;
  readonly requestedModel: string;
  /** What the provider says it served; the price follows it. */
  readonly responseModel: string | null;
  readonly at: Date;
  readonly configVersion: string;
}

const known = (nano: NanoUsd, basis: CostBasis, price: Priced | null = null): Cost => ({
  nano,
  basis,
  reason: null,
  price,
});
const unknown = (basis: CostBasis, reason: CostReason): Cost => ({ nano: null, basis, reason, price: null });

/** What the ledger can hold. */
const mostNano = 9_000_000_000_000_000_000n;

/** The cost of a call whose usage the provider reported. An answer is worth more than its price: this never throws. */
export function costOfUsage(usage: Usage, context: PriceContext): Cost {
  try {
    const cost = priceUsage(usage, context);
    return cost.nano !== null && cost.nano > mostNano ? unknown('unpriced', 'price_fault') : cost;
  } catch {
    return unknown('unpriced', 'price_fault'); // The price table refuses usage that does not add up.
  }
}

function priceUsage(usage: Usage, context: PriceContext): Cost {
  if (context.configured) {
    const price = priceByConfiguration(usage, context.configured, context.configVersion);
    return known(price.nano, 'computed', price);
  }
  if (context.isLocal)
    return known(0n, 'free', { nano: 0n, source: 'local', version: context.configVersion, snapshot: '{}' });
  if (context.pricesAs === null) return unknown('unpriced', 'no_price');
  for (const model of [context.responseModel, context.requestedModel]) {
    const price = model === null ? null : priceByTable(usage, context.pricesAs, model, context.at);
    if (price) return known(price.nano, 'computed', price);
  }
  return unknown('unpriced', 'no_price');
}

const maybeBilled: Partial<Record<FailureKind, CostReason>> = {
  timeout: 'timeout',
  stream_interrupted: 'stream_interrupted',
  network: 'connection_lost',
};

export interface EndedCall {
  /** null: an answer came. */
  readonly failure: FailureKind | null;
  readonly usage: Usage | null;
  /** False while nothing of the request can have reached the provider. */
  readonly isSent: boolean;
  /** The provider answered with a status outside 200 to 299: it refused, and does not bill. */
  readonly isRefused: boolean;
  readonly isStopped: boolean;
}

export function costOfCall(call: EndedCall, context: PriceContext): Cost {
  if (call.usage) return costOfUsage(call.usage, context);
  if (!call.isSent || call.isRefused) return known(0n, 'none');
  if (context.isLocal) return known(0n, 'free');
  if (call.isStopped) return unknown('unknown', 'aborted');
  if (call.failure === null) return unknown('unpriced', 'no_usage');
  return unknown('unknown', maybeBilled[call.failure] ?? 'no_usage');
}

/** A ledger row is written for what cost, or may have cost, something. */
export const belongsInLedger = (cost: Cost): boolean => cost.basis !== 'none';

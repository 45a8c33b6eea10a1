/** What a call at a target would cost, as far as anybody knows before it is made. Pure. */
import type { Settings } from '@waybill/shared/config/settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { type CallPrices, callPrices } from '@waybill/shared/pricing/call-prices.ts';
import { expectedCost } from '@waybill/shared/pricing/estimate.ts';
import { priceOfTokens } from '@waybill/shared/routing/budgets.ts';
import type { RequestNeeds } from '@waybill/shared/routing/request-needs.ts';

export interface CallCosts {
  /** null: no such provider. */
  readonly prices: CallPrices | null;
  /** Of the estimated input and the expected output; null: unknown. */
  readonly expectedNano: bigint | null;
  /** No usage of the request costs more; null: unknown, or without a bound. */
  readonly largestNano: bigint | null;
  /** Why one of them is null; null: neither is. */
  readonly reason: string | null;
  /** What a job's own `max_cost_usd` is held against. */
  readonly ceilingNano: bigint | null;
}

type CallNeeds = Pick<RequestNeeds, 'inputTokens' | 'outputTokens' | 'inputBound' | 'outputBound'>;

export function callCosts(target: string, needs: CallNeeds, { providers }: Settings, nowMs: number): CallCosts {
  const { provider: id, model } = splitTarget(target);
  const provider = Object.hasOwn(providers, id) ? providers[id] : undefined;
  if (!provider)
    return {
      ...{ prices: null, expectedNano: null, largestNano: null, ceilingNano: null },
      reason: `no provider "${id}" is configured`,
    };
  const prices = callPrices(provider, target, needs.inputTokens, nowMs);
  const bound = needs.outputBound ?? prices.maxOutputTokens;
  const expectedNano = expectedCost(prices.expected, needs);
  const largestNano =
    prices.largest === null || (bound === null && prices.largest.outputPerMillion > 0n)
      ? null
      : priceOfTokens(prices.largest, needs.inputBound, bound ?? 0);
  const dearestNano = priceOfTokens(prices.dearest, needs.inputBound, bound ?? needs.outputTokens);
  return {
    prices,
    expectedNano,
    largestNano,
    ceilingNano: largestNano ?? expectedNano ?? dearestNano,
    reason:
      prices.largest === null
        ? `no price is known of "${model}"`
        : largestNano === null
          ? 'nothing bounds the output; max_tokens would'
          : null,
  };
}

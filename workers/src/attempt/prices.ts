/** What a call at a target may cost, for the budgets that the claim reserves from. */
import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { dearestPrice, largestPriceOf, tokenPriceOf } from '@waybill/shared/pricing/estimate.ts';
import { knownModel } from '@waybill/shared/providers/catalogue.ts';
import type { ClaimPrices } from '@waybill/shared/store/claim.ts';

export function claimPrices(
  provider: ProviderSettings,
  target: string,
  inputTokens: number,
  nowMs: number,
): ClaimPrices {
  const { model } = splitTarget(target);
  const at = new Date(nowMs);
  return {
    expected: tokenPriceOf(provider, model, inputTokens, at),
    largest: largestPriceOf(provider, model, inputTokens, at),
    dearest: dearestPrice(provider, at),
    maxOutputTokens: knownModel(provider.pricesAs ?? provider.preset, model)?.maxOutput ?? null,
  };
}

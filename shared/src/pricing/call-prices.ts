/** What a call at a target may cost, for the budgets that its claim reserves from. */
import type { ProviderSettings } from '../config/settings.ts';
import { splitTarget } from '../domain/job.ts';
import { knownModel } from '../providers/catalogue.ts';
import type { TokenPrice } from '../routing/budgets.ts';
import { dearestPrice, largestPriceOf, tokenPriceOf } from './estimate.ts';

export interface CallPrices {
  /** null: nobody knows. */
  readonly expected: TokenPrice | null;
  /** No usage of its tokens costs more; null: nobody knows. */
  readonly largest: TokenPrice | null;
  /** Of what is known, for a model that is not. */
  readonly dearest: TokenPrice;
  /** Of an answer whose request has no bound; null: unknown. */
  readonly maxOutputTokens: number | null;
}

/** @param inputTokens of the whole call: they decide the tier */
export function callPrices(provider: ProviderSettings, target: string, inputTokens: number, nowMs: number): CallPrices {
  const { model } = splitTarget(target);
  const at = new Date(nowMs);
  return {
    expected: tokenPriceOf(provider, model, inputTokens, at),
    largest: largestPriceOf(provider, model, inputTokens, at),
    dearest: dearestPrice(provider, at),
    maxOutputTokens: knownModel(provider.pricesAs ?? provider.preset, model)?.maxOutput ?? null,
  };
}

/** What is known to cost nothing runs under any budget. */
export const costsNothing = (expected: TokenPrice | null | undefined): boolean =>
  expected?.inputPerMillion === 0n && expected.outputPerMillion === 0n;

/** A target that is known to cost nothing. */
export function isFreeTarget(
  target: string,
  providers: Readonly<Record<string, ProviderSettings>>,
  inputTokens: number,
  nowMs: number,
): boolean {
  const { provider: id, model } = splitTarget(target);
  const provider = Object.hasOwn(providers, id) ? providers[id] : undefined;
  return provider !== undefined && costsNothing(tokenPriceOf(provider, model, inputTokens, new Date(nowMs)));
}

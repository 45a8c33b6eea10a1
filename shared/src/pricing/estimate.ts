/**
 * What a call is going to cost, before it is made: the rates of its target for a call of its size.
 *
 * Where prices come from is the same as afterwards (`cost`): the configuration, nothing for a local server, the table.
 */
import { calcPrice, findProvider, type ModelPrice, type PriceCalculation, type Provider } from '@pydantic/genai-prices';
import { modelSettings } from '../config/model-settings.ts';
import type { ProviderSettings } from '../config/settings.ts';
import type { NanoUsd } from '../domain/money.ts';
import { presets } from '../providers/presets.ts';
import { priceOfTokens, type TokenPrice } from '../routing/budgets.ts';
import type { RequestNeeds } from '../routing/request-needs.ts';
import { ownPrices } from './own-prices.ts';
import { findInTable, isFree } from './price-table.ts';

/**
 * The rates of plain text, in nano-USD per million tokens; null: nobody knows them.
 * @param inputTokens of the whole call: they decide the tier
 */
export const tokenPriceOf = (
  provider: ProviderSettings,
  model: string,
  inputTokens: number,
  at: Date,
): TokenPrice | null => pricesOf(provider, model, at, (row) => plainRates(row, inputTokens))[0] ?? null;

/**
 * Rates that no usage of up to so many tokens exceeds, cached, spoken or reasoned as it may be; null: nobody knows them.
 * Where the target's name and the served one have different prices, the dearer one: the answer says which it was.
 */
export function largestPriceOf(
  provider: ProviderSettings,
  model: string,
  inputTokens: number,
  at: Date,
): TokenPrice | null {
  const found = pricesOf(provider, model, at, (row) => largestRates(row, inputTokens));
  return found.length === 0 ? null : found.reduce(dearer);
}

/**
 * For a model that nobody knows the price of: the dearest rates of those the table has for its provider, or for any
 * provider where it has none for this one.
 */
export function dearestPrice({ pricesAs }: Pick<ProviderSettings, 'pricesAs'>, at: Date): TokenPrice {
  return remembered(dearestRemembered, `${pricesAs ?? ''}\n${halfHour(at)}`, () => {
    const own = pricesAs === null ? free : dearestIn([pricesAs], at);
    return own.inputPerMillion > 0n ? own : dearestIn(allTables, at);
  });
}

/** In nano-USD, rounded up; null: unknown. */
export const expectedCost = (
  price: TokenPrice | null,
  { inputTokens, outputTokens }: Pick<RequestNeeds, 'inputTokens' | 'outputTokens'>,
): NanoUsd | null => (price === null ? null : priceOfTokens(price, inputTokens, outputTokens));

const free: TokenPrice = { inputPerMillion: 0n, outputPerMillion: 0n };

/** Of the names a target may be priced by, the likeliest first. */
function pricesOf(
  provider: ProviderSettings,
  model: string,
  at: Date,
  ratesOf: (row: ModelPrice) => TokenPrice | null,
): TokenPrice[] {
  const { price, servedAs } = modelSettings(provider, model);
  if (price !== null) return [price];
  if (provider.isLocal) return [free];
  const table = provider.pricesAs;
  if (table === null) return [];
  // On Azure the served name is one that its users gave; elsewhere it is the model's own.
  const names = provider.dialect === 'azure-openai' ? [model, servedAs] : [servedAs, model];
  return names.flatMap((name) => {
    const row = name === null ? null : rowOf(table, name, at);
    return (row === null ? null : ratesOf(row)) ?? [];
  });
}

function plainRates(row: ModelPrice, inputTokens: number): TokenPrice | null {
  if (isFree(row)) return free;
  const input = tierPrice(row.input_mtok, inputTokens);
  // A model without a price of output has none: it embeds.
  return input === null
    ? null
    : { inputPerMillion: toNano(input), outputPerMillion: toNano(tierPrice(row.output_mtok, inputTokens) ?? 0) };
}

const inputRates = [
  'input_mtok',
  'cache_read_mtok',
  'cache_write_mtok',
  'cache_write_1h_mtok',
  'input_audio_mtok',
] as const;
const outputRates = ['output_mtok', 'output_reasoning_mtok', 'output_audio_mtok'] as const;

function largestRates(row: ModelPrice, inputTokens: number): TokenPrice | null {
  if (isFree(row)) return free;
  if (row.input_mtok === undefined) return null;
  const largestOf = (rates: readonly string[]) =>
    toNano(Math.max(...rates.flatMap((rate) => reachedPrices(row[rate], inputTokens)), 0));
  return { inputPerMillion: largestOf(inputRates), outputPerMillion: largestOf(outputRates) };
}

type Rate = ModelPrice[string];

/** Of all tiers up to that of so many tokens, from the lowest: the price of the last one is that of the whole call. */
export function reachedPrices(rate: Rate, inputTokens: number): number[] {
  if (rate === undefined || typeof rate === 'number') return rate === undefined ? [] : [rate];
  const reached = rate.tiers.filter(({ start }) => inputTokens > start).toSorted((a, b) => a.start - b.start);
  return [rate.base, ...reached.map(({ price }) => price)];
}

const tierPrice = (rate: Rate, inputTokens: number): number | null => reachedPrices(rate, inputTokens).at(-1) ?? null;

/** Up, but for the noise of a double. */
const toNano = (usdPerMillion: number): NanoUsd => BigInt(Math.ceil(usdPerMillion * 1e9 - 1e-3));

const larger = (one: NanoUsd, other: NanoUsd): NanoUsd => (one > other ? one : other);
const dearer = (one: TokenPrice, other: TokenPrice): TokenPrice => ({
  inputPerMillion: larger(one.inputPerMillion, other.inputPerMillion),
  outputPerMillion: larger(one.outputPerMillion, other.outputPerMillion),
});

/** The price tables of all providers there are presets for. */
const allTables: readonly string[] = [...new Set(presets.flatMap(({ pricesAs }) => pricesAs ?? []))];

/** Prices of every size of prompt; those that do not price tokens say nothing. */
const dearestIn = (tables: readonly string[], at: Date): TokenPrice =>
  tables
    .flatMap(listsOf)
    .flatMap((list) => pricesInForce(list, at))
    .flatMap((row) => largestRates(row, Number.POSITIVE_INFINITY) ?? [])
    .reduce(dearer, free);

/** A table's own models, and those of the tables it takes others from. */
function listsOf(table: string): Provider[] {
  const list = findProvider({ providerId: table });
  const names = [table, ...(list?.fallback_model_providers ?? [])];
  return names.flatMap((name) => [findProvider({ providerId: name }) ?? [], ownPrices[name] ?? []].flat());
}

/** The package says which of a model's dated prices holds; each is asked for under a name that is sure to find it. */
const pricesInForce = (list: Provider, at: Date): ModelPrice[] =>
  list.models.map((model) => {
    const alone = { ...list, models: [{ ...model, match: { equals: model.id } }] };
    return (calcPrice({}, model.id, { provider: alone, timestamp: at }) as PriceCalculation).model_price;
  });

/** Looking a model up takes tenths of a millisecond, and routing asks for each target of each job. */
const rowsRemembered = new Map<string, ModelPrice | null>();
const dearestRemembered = new Map<string, TokenPrice>();
const mostRemembered = 2_000;

const rowOf = (table: string, name: string, at: Date): ModelPrice | null =>
  remembered(
    rowsRemembered,
    `${table}\n${name}\n${halfHour(at)}`,
    () => findInTable(table, name, at)?.calculation.model_price ?? null,
  );

/** Prices change at midnight, or, where they follow the time of day, at whole and half hours. */
const halfHour = (at: Date): number => Math.floor(at.getTime() / 1_800_000);

function remembered<T>(known: Map<string, T>, key: string, find: () => T): T {
  const found = known.get(key);
  if (found !== undefined) return found;
  const value = find();
  if (known.size >= mostRemembered) known.clear(); // Names come from requests too.
  known.set(key, value);
  return value;
}

/**
 * The price table: the price package, and before it what it lacks (`own-prices`).
 *
 * The package matches some models by the beginning of their name, and so gives a new version the price of an old one
 * (`claude-sonnet-5` for `claude-sonnet-5-5`). A price that is a guess is worse than none: such a match is refused.
 */
import { calcPrice, type MatchLogic, type ModelPrice, type PriceCalculation, type Usage } from '@pydantic/genai-prices';
import { ownPrices } from './own-prices.ts';

/** The day the pinned version of the package was released. */
export const genaiPricesDate = '2026-09-23';

export interface TableRow {
  readonly source: 'genai-prices' | 'catalogue';
  readonly calculation: PriceCalculation;
}

/** What the table says of a model, and the price of `usage`; null: it does not know it. Throws where usage does not add up. */
export function findInTable(table: string, model: string, at: Date, usage: Usage = {}): TableRow | null {
  const name = nameInTable(model);
  const own = ownPrices[table];
  const ours = own ? calcPrice(usage, name, { provider: own, timestamp: at }) : null;
  if (ours) return { source: 'catalogue', calculation: ours };
  const theirs = calcPrice(usage, name, { providerId: table, timestamp: at });
  // The package also finds a provider by a part of its name: `openai-compatible` is not OpenAI.
  if (theirs?.provider.id !== table || !names(theirs.model.match, name)) return null;
  return { source: 'genai-prices', calculation: theirs };
}

/** Gemini's API lists its models as `models/…`. A variant (`:free`, `:nitro`) stays: it has another price. */
const nameInTable = (model: string): string => model.toLowerCase().replace(/^models\//, '');

/** Whether a match means this model, and not another version of it. */
function names(match: MatchLogic, name: string): boolean {
  // The package looks `-20250414` up as `-2025-04-14` too.
  const dated = name.replace(/-(20\d{2})(\d{2})(\d{2})(?=-|:|$)/, '-$1-$2-$3');
  return holds(match, name) || holds(match, dated);
}

function holds(match: MatchLogic, name: string): boolean {
  if ('or' in match) return match.or.some((each) => holds(each, name));
  if ('and' in match) return match.and.every((each) => holds(each, name));
  if ('equals' in match) return name === match.equals.toLowerCase();
  if ('ends_with' in match) return name.endsWith(match.ends_with.toLowerCase());
  if ('regex' in match) return new RegExp(match.regex).test(name);
  const part = ('starts_with' in match ? match.starts_with : match.contains).toLowerCase();
  const from = name.indexOf(part);
  return from >= 0 && !isOtherVersion(part, name.slice(from + part.length));
}

/** A version number follows: one or two digits, where a date has four or more and a revision three (`-001`). */
const isOtherVersion = (part: string, rest: string): boolean =>
  /^[-.]\d{1,2}(?!\d)/.test(rest) || (/[1-9]$/.test(part) && /^\d{1,2}(?!\d)/.test(rest));

/** US dollars per million tokens of text, of the lowest tier of prompt size. */
export interface TableRates {
  readonly input: number;
  readonly output: number;
}

/** null: the table does not know the model, or does not price it by its tokens. */
export function ratesByTable(table: string, model: string, at: Date): TableRates | null {
  const prices = findInTable(table, model, at)?.calculation.model_price;
  if (!prices) return null;
  if (isFree(prices)) return { input: 0, output: 0 };
  const input = baseOf(prices.input_mtok);
  return input === null ? null : { input, output: baseOf(prices.output_mtok) ?? 0 };
}

const baseOf = (price: ModelPrice[string]): number | null =>
  price === undefined ? null : typeof price === 'number' ? price : price.base;

/** A row without any price: the table lists what is given away so (`:free`, moderation). */
export const isFree = (prices: ModelPrice): boolean => Object.keys(prices).length === 0;

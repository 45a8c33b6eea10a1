/**
 * A model as its provider lists it, in one shape.
 *
 * Lists say different things, and none says all of it: what was not said is null, and a capability that is neither in
 * `has` nor in `lacks` was not mentioned.
 */
import type { Capability } from '../../chat/capabilities.ts';
import type { ModelListing } from '../presets.ts';
import { asCount, asList, asTextOrNull } from '../provider-json.ts';

export const listedStatuses = ['loaded', 'loading', 'unloaded', 'sleeping', 'downloading', 'failed'] as const;
/** Of a server that loads its models on demand. */
export type ListedStatus = (typeof listedStatuses)[number];

export interface ListedModel {
  /** What a request names. */
  readonly id: string;
  /** Other names of the same model. */
  readonly aliases: readonly string[];
  /** The limit that holds, in tokens. */
  readonly contextWindow: number | null;
  /** What it was trained for. A local server may give it less. */
  readonly trainedWindow: number | null;
  readonly maxOutput: number | null;
  readonly has: readonly Capability[];
  readonly lacks: readonly Capability[];
  /** Whether it writes text; false of a model that only embeds, listens or moderates. */
  readonly isChat: boolean | null;
  readonly lifecycle: 'active' | 'deprecated' | 'retired' | null;
  /** When it stops being served; null: nobody said that it will. */
  readonly endsAtMs: number | null;
  readonly replacement: string | null;
  readonly status: ListedStatus | null;
  /** US dollars per million tokens. */
  readonly price: { readonly input: number; readonly output: number } | null;
}

/** One page of a list. */
export interface ModelPage {
  readonly models: readonly ListedModel[];
  /** What the next page is asked with; null: this is the last. */
  readonly next: string | null;
}

const mostNameLength = 256;

/** A name that can be asked for; null: none, or one too long to be one. */
export const asModelName = (value: unknown): string | null => {
  const name = asTextOrNull(value);
  return name === null || name.length > mostNameLength ? null : name;
};

export const asNames = (value: unknown): string[] => asList(value).flatMap((each) => asModelName(each) ?? []);

/** A limit in tokens. Zero is how some lists say that they do not know. */
export const asLimit = (value: unknown): number | null => asCount(value) || null;

const earliestMs = Date.UTC(2020, 0, 1);
const latestMs = Date.UTC(2100, 0, 1);

/** An ISO date or instant, or unix seconds; null when it is none, or no time at which a model could end. */
export function asInstantMs(value: unknown): number | null {
  const isDate = typeof value === 'string' && /^\d{4}-\d{2}-\d{2}/.test(value);
  const ms = typeof value === 'number' ? value * 1_000 : isDate ? Date.parse(value) : Number.NaN;
  return ms >= earliestMs && ms < latestMs ? ms : null;
}

export const listedModel = (id: string, said: Partial<ListedModel>): ListedModel => ({
  id,
  aliases: [],
  contextWindow: null,
  trainedWindow: null,
  maxOutput: null,
  has: [],
  lacks: [],
  isChat: null,
  lifecycle: null,
  endsAtMs: null,
  replacement: null,
  status: null,
  price: null,
  ...said,
});

/** Splits what was said with yes and no; what was not said is in neither. */
export function sortCapabilities(
  said: Partial<Record<Capability, boolean | null>>,
): Pick<ListedModel, 'has' | 'lacks'> {
  const named = Object.entries(said) as [Capability, boolean | null][];
  return {
    has: named.flatMap(([name, value]) => (value === true ? [name] : [])),
    lacks: named.flatMap(([name, value]) => (value === false ? [name] : [])),
  };
}

export const asFlag = (value: unknown): boolean | null => (typeof value === 'boolean' ? value : null);

/** The form of a name in which two names of one model are equal. */
export function normaliseModel(listing: ModelListing, id: string): string {
  if (listing === 'ollama') return id.replace(/:latest$/, '');
  if (listing === 'gemini') return id.replace(/^models\//, '');
  return id;
}

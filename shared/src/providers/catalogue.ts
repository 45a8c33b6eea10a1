/**
 * What is known of models, dated.
 *
 * Our own table comes first, the price package fills in context windows, and configuration overrides both. What nobody
 * knows stays unknown: an unknown window or capability passes, an unknown price is `null`.
 */
import { type Capability, capabilities } from '../chat/capabilities.ts';
import { findInTable, genaiPricesDate } from '../pricing/price-table.ts';
import { catalogueDate, type Maker, type ModelEntry, modelTable } from './catalogue/model-table.ts';
import { presetOf } from './presets.ts';

/** The model a preset uses when neither configuration nor `<PROVIDER>_MODEL` names one; null: ask the server. */
export const defaultModels: Readonly<Record<string, string | null>> = {
  openai: 'gpt-4.1-mini',
  anthropic: 'claude-haiku-4-5',
  gemini: 'gemini-3.5-flash-lite',
  // What can be called there are names its users gave.
  'azure-openai': null,
  cohere: 'command-a-03-2025',
  groq: 'llama-3.3-70b-versatile',
  mistral: 'mistral-small-2603',
  openrouter: 'openai/gpt-4.1-mini',
  ollama: 'llama3.2',
  'llama-cpp': null,
  localai: null,
  vllm: null,
  lightllm: null,
  'lm-studio': null,
  'openai-compatible': null,
};

export interface KnownModel {
  /** Input and output together, in tokens; null: not known. */
  readonly contextWindow: number | null;
  readonly maxOutput: number | null;
  /** Capabilities it lacks; those of its dialect and its preset are known there. */
  readonly lacks: readonly Capability[];
  readonly source: 'catalogue' | 'genai-prices';
  /** When the source was current, `YYYY-MM-DD`. */
  readonly date: string;
}

/** Looking a model up takes tenths of a millisecond, and routing asks for each target of each job. */
const remembered = new Map<string, KnownModel | null>();
const mostRemembered = 2_000;

/**
 * What is known of a model; null: nothing.
 * @param provider the provider's name in the price table, or the id of its preset where it has none there
 */
export function knownModel(provider: string, model: string): KnownModel | null {
  const key = `${provider}\n${model}`;
  const known = remembered.get(key);
  if (known !== undefined) return known;
  const found = look(provider, model);
  if (remembered.size >= mostRemembered) remembered.clear(); // Names come from requests too.
  remembered.set(key, found);
  return found;
}

function look(provider: string, model: string): KnownModel | null {
  const entry = entryOf(provider, model);
  const row = [...namesOf(model), ...namesOf(withoutVariant(provider, model))]
    .map((name) => findInTable(provider, name, new Date())?.calculation.model)
    .find((each) => each !== undefined);
  if (!entry && !row) return null;
  const isEmbedding = /embed/i.test(model);
  return {
    // An embedding model's window holds for each input alone, and a request has many.
    contextWindow: isEmbedding ? null : (entry?.contextWindow ?? row?.context_window ?? null),
    maxOutput: entry?.maxOutput ?? null,
    lacks: isEmbedding ? capabilities.filter((each) => each !== 'embeddings') : lacksOf(entry),
    source: entry ? 'catalogue' : 'genai-prices',
    date: entry ? catalogueDate : genaiPricesDate,
  };
}

/** OpenRouter's variants choose who serves a model, or add a search; what the model can do stays. */
const withoutVariant = (provider: string, model: string): string =>
  provider === 'openrouter' ? model.replace(/:[a-z]+$/, '') : model;

/** A server of one's own may embed with any model. */
const lacksOf = (entry: ModelEntry | null): readonly Capability[] =>
  !entry ? [] : entry.maker === 'local' ? entry.lacks : [...entry.lacks, 'embeddings'];

function entryOf(provider: string, model: string): ModelEntry | null {
  const { makers, name } = origin(provider, model.toLowerCase());
  for (const each of namesOf(name)) {
    const entry = Object.hasOwn(modelTable, each) ? modelTable[each] : undefined;
    if (entry && (makers === 'any' ? entry.maker !== 'local' : makers.includes(entry.maker))) return entry;
  }
  return null;
}

interface Origin {
  readonly makers: readonly Maker[] | 'any';
  readonly name: string;
}

const openrouterMakers: Readonly<Record<string, Maker>> = {
  openai: 'openai',
  anthropic: 'anthropic',
  google: 'google',
  cohere: 'cohere',
  mistralai: 'mistral',
};

/** Whose models a provider serves, and what they call this one. */
function origin(provider: string, model: string): Origin {
  if (provider === 'azure') return { makers: ['openai'], name: model };
  if (provider === 'openrouter') {
    const [, maker = '', name = ''] = /^([^/]+)\/([^:]+)/.exec(model) ?? [];
    const known = openrouterMakers[maker];
    // It writes versions with dots: `claude-haiku-4.5`.
    return { makers: known ? [known] : [], name: known === 'anthropic' ? name.replaceAll('.', '-') : name };
  }
  if (presetOf(provider)?.isLocal) return { makers: ['local'], name: provider === 'ollama' ? untagged(model) : model };
  // A server that only speaks a dialect serves whatever it serves under names that are known.
  const makers = Object.values(modelTable).some(({ maker }) => maker === provider) ? [provider as Maker] : 'any';
  return { makers, name: model };
}

/** Ollama's tag tells the size and the precision. */
const untagged = (model: string): string => model.replace(/:.*$/, '');

/** A model's own name, and that of which it is a dated snapshot. */
const namesOf = (model: string): string[] => {
  const plain = model.replace(/^models\//, '').replace(/:latest$/, '');
  return [...new Set([plain, withoutSnapshot(plain)])];
};

/** `gpt-4.1-mini-2025-04-14`, `claude-haiku-4-5-20251001` and `…@20251001` are snapshots of what stands before. */
export const withoutSnapshot = (model: string): string => model.replace(/[-@](?:20\d{6}|20\d{2}-\d{2}-\d{2})$/, '');

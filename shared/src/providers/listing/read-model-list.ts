/** Reads a page of a provider's model list, in whichever form it comes. */
import type { ModelListing } from '../presets.ts';
import type { ModelPage } from './listed-model.ts';
import { readOllamaTags } from './read-ollama.ts';
import { readOpenaiList } from './read-openai-list.ts';
import { readAnthropicList, readCohereList, readGeminiList } from './read-own-lists.ts';

const readers: Readonly<Record<ModelListing, (body: unknown) => ModelPage | null>> = {
  openai: readOpenaiList,
  anthropic: readAnthropicList,
  gemini: readGeminiList,
  cohere: readCohereList,
  ollama: readOllamaTags,
  none: () => null,
};

/** null: the body is not a list of models. An entry without a usable name is left out. */
export const readModelList = (listing: ModelListing, body: unknown): ModelPage | null => readers[listing](body);

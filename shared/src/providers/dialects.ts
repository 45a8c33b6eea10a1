/** Every dialect by its name. */
import { anthropicDialect } from './anthropic/anthropic.ts';
import { azureOpenaiDialect } from './azure-openai/azure-openai.ts';
import { cohereDialect } from './cohere/cohere.ts';
import type { Dialect, DialectName } from './dialect.ts';
import { geminiDialect } from './gemini/gemini.ts';
import { ollamaDialect } from './ollama/ollama.ts';
import { openaiDialect } from './openai/openai.ts';

const dialects: Readonly<Record<DialectName, Dialect>> = {
  openai: openaiDialect,
  anthropic: anthropicDialect,
  gemini: geminiDialect,
  'azure-openai': azureOpenaiDialect,
  cohere: cohereDialect,
  ollama: ollamaDialect,
};

export const dialectOf = (name: DialectName): Dialect => dialects[name];

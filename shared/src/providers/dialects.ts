/** Every dialect by its name. */
import { anthropicDialect } from './anthropic/anthropic.ts';
import type { Dialect, DialectName } from './dialect.ts';
import { ollamaDialect } from './ollama/ollama.ts';
import { openaiDialect } from './openai/openai.ts';

const dialects: Readonly<Record<DialectName, Dialect>> = {
  openai: openaiDialect,
  anthropic: anthropicDialect,
  ollama: ollamaDialect,
};

export const dialectOf = (name: DialectName): Dialect => dialects[name];

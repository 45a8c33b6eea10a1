/**
 * The error table of OpenAI and of the servers that speak its format; one row per known signal, first match wins.
 *
 * One table for all: a router or a gateway passes on the errors of whoever served it.
 */
import { type ErrorRow, errorReader } from '../error-body.ts';
import { groqRows } from './errors/groq.ts';
import { lightllmRows, llamaCppRows, localaiRows, vllmRows } from './errors/local-servers.ts';
import { mistralRows } from './errors/mistral.ts';
import { openaiRows } from './errors/openai.ts';
import { openrouterRows } from './errors/openrouter.ts';

/** In the order in which they are tried: OpenRouter's say most, and the texts of others would hide them. */
export const rowsByProvider: Readonly<Record<string, readonly ErrorRow[]>> = {
  openrouter: openrouterRows,
  groq: groqRows,
  mistral: mistralRows,
  localai: localaiRows,
  'llama-cpp': llamaCppRows,
  lightllm: lightllmRows,
  vllm: vllmRows,
  openai: openaiRows,
};

export const errorRows: readonly ErrorRow[] = Object.values(rowsByProvider).flat();

export const readError = errorReader(errorRows);

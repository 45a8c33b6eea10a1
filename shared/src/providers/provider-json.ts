/** Reads a provider's JSON: bounded like every JSON from outside, and only the fields we know. */
import { parseAnswerJson } from '../domain/json-text.ts';
import { Problem } from '../domain/problem.ts';

/** The text is the beginning of JSON: the connection ended inside it. */
export class CutJsonError extends Problem {
  constructor(cause: Problem) {
    super('invalid_json', cause.message, { cause });
  }
}

/** A provider may list more than a caller may send (logprobs): the depth limit holds, the item limit is wider. */
export function parseProviderJson(text: string): unknown {
  try {
    return parseAnswerJson(text);
  } catch (error) {
    if (error instanceof Problem && error.code === 'invalid_json' && isCut(error.cause, text))
      throw new CutJsonError(error);
    throw error;
  }
}

/** V8 names the position where it stopped: the end of the text, where more of it was expected. */
function isCut(cause: unknown, text: string): boolean {
  const message = cause instanceof Error ? cause.message : '';
  return /end of JSON|Unterminated/.test(message) || Number(/position (\d+)/.exec(message)?.[1]) >= text.length;
}

export type Json = Record<string, unknown>;
export const asRecord = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
export const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const asText = (value: unknown): string => (typeof value === 'string' ? value : '');
export const asTextOrNull = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' ? value : null;
const mostTokens = 1_000_000_000;
/** A token count; anything but a whole number from 0 to a billion is not reported. */
export const asCount = (value: unknown): number | null =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= mostTokens ? value : null;

/** A word of a provider's that we do not know, for a warning, if it is a word: any other text may hold anything. */
export const wordOf = (text: string): string => (/^[\w.:-]{1,40}$/.test(text) ? `"${text}"` : 'of another form');

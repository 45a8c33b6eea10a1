/** Gemini's finish reasons. Some are failures, and one means that the answer goes on in another call. */
import type { FinishReason } from '../../chat/response.ts';
import { wordOf } from '../provider-json.ts';

export const continues = 'CONTINUATION';

/** Ends of an answer nobody can use: another try may do better. */
const unusable: ReadonlySet<string> = new Set([
  'MALFORMED_FUNCTION_CALL',
  'UNEXPECTED_TOOL_CALL',
  'TOO_MANY_TOOL_CALLS',
  'MALFORMED_RESPONSE',
  'OTHER',
  'NO_IMAGE',
]);
export const isUnusable = (reason: string): boolean => unusable.has(reason);

const known: Readonly<Record<string, FinishReason>> = {
  STOP: 'stop',
  MAX_TOKENS: 'length',
  [continues]: 'length',
  SAFETY: 'content_filter',
  RECITATION: 'content_filter',
  LANGUAGE: 'content_filter',
  BLOCKLIST: 'content_filter',
  PROHIBITED_CONTENT: 'content_filter',
  SPII: 'content_filter',
};

/** STOP with calls means that the model waits for their results. An unknown reason is read like STOP, and told. */
export function toFinishReason(reason: string, hasCalls: boolean): { reason: FinishReason; warnings: string[] } {
  const end = hasCalls ? 'tool_calls' : 'stop';
  const found = known[reason] ?? (reason.startsWith('IMAGE_') ? 'content_filter' : undefined);
  if (found) return { reason: found === 'stop' ? end : found, warnings: [] };
  return { reason: end, warnings: [`unknown finish reason ${wordOf(reason)} read as "${end}"`] };
}

/**
 * Token usage of one attempt. `inputTokens` and `outputTokens` are totals; the other fields are parts of them.
 *
 * Providers disagree (Anthropic's `input_tokens` leaves cached tokens out, Gemini's candidates leave thoughts
 * out); dialects convert to this one shape, so that nothing is billed twice.
 */
import { z } from 'zod';

const tokens = z.int().nonnegative();
export const usageSchema = z.object({
  inputTokens: tokens,
  outputTokens: tokens,
  cacheReadTokens: tokens.default(0),
  cacheWriteTokens: tokens.default(0),
  /** The part of `cacheWriteTokens` that is kept for one hour, which costs more. */
  cacheWrite1hTokens: tokens.default(0),
  reasoningTokens: tokens.default(0),
  /** Parts of the totals that are audio, which costs more. */
  audioInputTokens: tokens.default(0),
  audioOutputTokens: tokens.default(0),
});
export type Usage = z.infer<typeof usageSchema>;

/** What a provider reported: the totals, and the parts it names. */
export type ReportedUsage = Pick<Usage, 'inputTokens' | 'outputTokens'> & Partial<Usage>;

/** Holds the parts within their totals: a provider that reports more is taken at its totals. */
export function consistentUsage(reported: ReportedUsage): Usage {
  const usage = usageSchema.parse(reported);
  const cacheReadTokens = Math.min(usage.cacheReadTokens, usage.inputTokens);
  const cacheWriteTokens = Math.min(usage.cacheWriteTokens, usage.inputTokens - cacheReadTokens);
  return {
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    cacheWrite1hTokens: Math.min(usage.cacheWrite1hTokens, cacheWriteTokens),
    reasoningTokens: Math.min(usage.reasoningTokens, usage.outputTokens),
    audioInputTokens: Math.min(usage.audioInputTokens, usage.inputTokens - cacheReadTokens - cacheWriteTokens),
    audioOutputTokens: Math.min(usage.audioOutputTokens, usage.outputTokens),
  };
}

/** The sum over several attempts of one answer. */
export const addUsage = (a: Usage, b: Usage): Usage =>
  Object.fromEntries(Object.keys(a).map((part) => [part, a[part as keyof Usage] + b[part as keyof Usage]])) as Usage;

/** Usage as users read it, in the names of the Chat Completions API. */
export function toUsageJson(usage: Usage) {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: {
      cached_tokens: usage.cacheReadTokens,
      cache_write_tokens: usage.cacheWriteTokens,
      audio_tokens: usage.audioInputTokens,
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens, audio_tokens: usage.audioOutputTokens },
  };
}

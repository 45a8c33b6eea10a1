/**
 * `usageMetadata` -> canonical usage. Their prompt leaves out what tools put into it, their candidates leave out the
 * thoughts; ours are totals. A zero may be left out of this format, so that a missing count is worked out of the total.
 */
import { consistentUsage, type Usage } from '../../domain/usage.ts';
import { asCount, asList, asRecord, asText, type Json } from '../provider-json.ts';

export function toUsage(value: unknown): Usage | null {
  const usage = asRecord(value);
  const prompt = asCount(usage.promptTokenCount);
  if (prompt === null) return null;
  const inputTokens = prompt + (asCount(usage.toolUsePromptTokenCount) ?? 0);
  const outputTokens = outputOf(usage, inputTokens);
  if (outputTokens === null) return null;
  return consistentUsage({
    inputTokens,
    outputTokens,
    cacheReadTokens: asCount(usage.cachedContentTokenCount) ?? 0,
    reasoningTokens: asCount(usage.thoughtsTokenCount) ?? 0,
    audioInputTokens: Math.max(0, audioOf(usage.promptTokensDetails) - audioOf(usage.cacheTokensDetails)),
    audioOutputTokens: audioOf(usage.candidatesTokensDetails),
  });
}

function outputOf(usage: Json, inputTokens: number): number | null {
  const candidates = asCount(usage.candidatesTokenCount);
  if (candidates !== null) return candidates + (asCount(usage.thoughtsTokenCount) ?? 0);
  const total = asCount(usage.totalTokenCount);
  return total === null ? null : Math.max(0, total - inputTokens);
}

const audioOf = (details: unknown): number =>
  asList(details)
    .map(asRecord)
    .filter((each) => asText(each.modality) === 'AUDIO')
    .reduce((sum, each) => sum + (asCount(each.tokenCount) ?? 0), 0);

/**
 * An estimate of a request's tokens, in one linear pass.
 *
 * A fixed ratio of characters is wrong by more than half for JSON, Chinese or base64, and real tokenizers are
 * quadratic on repeated characters, which a tenant can send. This scan stays within a fifth for prose, code and
 * CJK, is never slower than reading the text, and is what permits and fairness are charged with before the call.
 */
import type { ChatRequest } from './request.ts';

/** What an answer without a bound is taken to have, and what a trimmed history leaves room for. */
export const assumedOutputTokens = 1_000;

const tokensPerMessage = 4;
const tokensPerImage = 1_100;

export function estimateTextTokens(text: string): number {
  let tokens = 0;
  for (const [run] of text.matchAll(/[A-Za-z]+|\d+|\s+|[!-/:-@[-`{-~]+|[\u00a1-\u052f]+|[^\s\d!-~]+/g))
    tokens += tokensOfRun(run);
  return Math.ceil(tokens);
}

function tokensOfRun(run: string): number {
  const code = run.charCodeAt(0);
  if (/[A-Za-z]/.test(run.charAt(0))) {
    const innerCapitals = run.length > 1 ? run.slice(1).replace(/[^A-Z]/g, '').length : 0;
    return (run.length > 9 ? run.length / 6 : 1) + 0.75 * innerCapitals;
  }
  if (/\d/.test(run.charAt(0))) return run.length / 3;
  if (/\s/.test(run.charAt(0))) return run.length > 1 || run.includes('\n') ? 1 : 0;
  if (code < 0x80) return run.length / 2;
  return run.length * (code <= 0x52f ? 0.45 : 0.8);
}

type ContentPart = Extract<ChatRequest['messages'][number]['content'], readonly unknown[]>[number];

/** Of a document, by its bytes: a page of a PDF is some 3,000 tokens and seldom under 30 KB. */
const bytesPerFileToken = 10;
/** One second of speech is about 32 tokens and 24 KB of mp3 or more of wav. */
const bytesPerAudioToken = 500;

function estimatePartTokens(part: ContentPart): number {
  if (part.type === 'text') return estimateTextTokens(part.text);
  if (part.type === 'refusal') return estimateTextTokens(part.refusal);
  if (part.type === 'input_audio') return (part.input_audio.data.length * 0.75) / bytesPerAudioToken;
  if (part.type === 'file') return (part.file.file_data.length * 0.75) / bytesPerFileToken;
  return tokensPerImage;
}

type Assistant = Extract<ChatRequest['messages'][number], { role: 'assistant' }>;

/** Of reasoning that only its maker can read, by its characters. */
const charactersPerOpaqueToken = 4;

/** What stands beside the content of an answer: calls of tools, and reasoning that goes back with it. */
function estimateThoughtTokens({
  tool_calls: calls,
  reasoning_content: text,
  reasoning_details: details,
}: Assistant): number {
  return (
    (calls ? estimateTextTokens(JSON.stringify(calls)) : 0) +
    (text ? estimateTextTokens(text) : 0) +
    (details ? JSON.stringify(details).length / charactersPerOpaqueToken : 0)
  );
}

/** Input tokens: messages, tools and schema as text; images by an allowance, files and audio by size, never by their base64. */
export function estimateInputTokens(request: ChatRequest): number {
  let tokens = 0;
  for (const message of request.messages) {
    tokens += tokensPerMessage;
    if (typeof message.content === 'string') tokens += estimateTextTokens(message.content);
    else for (const part of message.content ?? []) tokens += estimatePartTokens(part);
    if (message.role === 'assistant') tokens += estimateThoughtTokens(message);
  }
  if (request.tools) tokens += estimateTextTokens(JSON.stringify(request.tools));
  if (request.response_format?.type === 'json_schema')
    tokens += estimateTextTokens(JSON.stringify(request.response_format.json_schema));
  return tokens;
}

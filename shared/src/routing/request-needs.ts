/** What a request asks of a target, whichever endpoint it is for. */
import { type Capability, requiredCapabilities } from '../chat/capabilities.ts';
import { type ChatMessage, type ChatRequest, outputLimitOf } from '../chat/request.ts';
import { assumedOutputTokens, estimateInputTokens } from '../chat/tokens.ts';
import { type EmbeddingsRequest, estimateEmbeddingTokens, inputsOf } from '../embeddings/request.ts';

/** A job's request with the endpoint it is for. */
export type JobBody =
  | { readonly endpoint: '/v1/chat/completions'; readonly request: ChatRequest }
  | { readonly endpoint: '/v1/embeddings'; readonly request: EmbeddingsRequest };

export interface RequestNeeds {
  readonly capabilities: readonly Capability[];
  /** Estimated. */
  readonly inputTokens: number;
  /** Expected of all choices together: their bound, or what is assumed where there is none. */
  readonly outputTokens: number;
  /** The most that all choices together can have; null: the request names no bound. */
  readonly outputBound: number | null;
  /** The most tokens the input can be taken for. */
  readonly inputBound: number;
  /** Estimated input and expected output. */
  readonly estimatedTokens: number;
  /** What must fit into a context window at once: the input, and the bound of one choice. */
  readonly windowTokens: number;
}

export function requestNeeds(body: JobBody): RequestNeeds {
  return body.endpoint === '/v1/embeddings' ? embeddingNeeds(body.request) : chatNeeds(body.request);
}

function chatNeeds(request: ChatRequest): RequestNeeds {
  const inputTokens = Math.ceil(estimateInputTokens(request));
  const limit = outputLimitOf(request);
  const choices = request.n ?? 1;
  const outputTokens = (limit ?? assumedOutputTokens) * choices;
  return {
    capabilities: requiredCapabilities(request),
    inputTokens,
    outputTokens,
    outputBound: limit === null ? null : limit * choices,
    inputBound: chatInputBound(request),
    estimatedTokens: inputTokens + outputTokens,
    windowTokens: inputTokens + (limit ?? 0),
  };
}

function embeddingNeeds(request: EmbeddingsRequest): RequestNeeds {
  const inputTokens = Math.ceil(estimateEmbeddingTokens(request));
  return {
    capabilities: ['embeddings'],
    inputTokens,
    outputTokens: 0,
    outputBound: 0,
    inputBound: inputsOf(request).reduce((sum, text) => sum + tokensAround + bytesOf(text), 0),
    estimatedTokens: inputTokens,
    // Every input has the window for itself.
    windowTokens: 0,
  };
}

/*
 * The bound of the input. Tokenizers of today's models are built on bytes, or fall back to them: a token stands for one
 * byte at least, so a text never has more tokens than UTF-8 bytes. (One that spells rare ligatures out first may make
 * more of a text of nothing else.) What surrounds a text is not sent by us, but by the template of the model: marks
 * around each message, part and tool, and prompts of the provider's own.
 */

const tokensAround = 16;
/** A preamble that a template writes on its own: a date, who the model is. */
const preambleTokens = 200;
/** The provider's own prompt that explains to the model how tools are called, or which form the answer has. */
const explainingTokens = 1_000;
/** The dearest known way to look at one: tiles of 512 pixels, 8 at most, at 5,667 tokens, and 2,833 for the whole. */
const tokensPerImage = 50_000;
/** Of `detail: low`: the whole at a low resolution, or at a usual one where the detail is not looked at. */
const tokensPerSmallImage = 5_000;
/** For the first pages; what a page looks like is read too, whatever its bytes. Then one per byte, as for text. */
const tokensPerFile = 10_000;
/** A second is up to 32 tokens, and 1,000 bytes of the lowest quality that is in use. */
const bytesPerAudioToken = 10;
const tokensPerAudio = 1_000;

const bytesOf = (text: string): number => Buffer.byteLength(text);
const jsonBytes = (value: unknown): number => bytesOf(JSON.stringify(value));

function chatInputBound({ messages, tools = [], response_format: format }: ChatRequest): number {
  const hasForm = format !== undefined && format.type !== 'text';
  return (
    preambleTokens +
    messages.reduce((sum, message) => sum + messageBound(message), 0) +
    tools.reduce((sum, tool) => sum + tokensAround + writtenOut(tool), tools.length > 0 ? explainingTokens : 0) +
    (hasForm ? explainingTokens + writtenOut(format) : 0)
  );
}

/** Templates write JSON with spaces and line ends that we do not: at most another token beside each byte. */
const writtenOut = (value: unknown): number => 2 * jsonBytes(value);

/** All but the content is counted as JSON: names, calls of tools, reasoning. */
function messageBound({ content, ...rest }: ChatMessage): number {
  const around = tokensAround + writtenOut(rest);
  if (typeof content === 'string') return around + bytesOf(content);
  return (content ?? []).reduce((sum, part) => sum + tokensAround + partBound(part), around);
}

type ContentPart = Extract<ChatMessage['content'], readonly unknown[]>[number];

function partBound(part: ContentPart): number {
  switch (part.type) {
    case 'text':
      return bytesOf(part.text);
    case 'refusal':
      return bytesOf(part.refusal);
    case 'image_url':
      return part.image_url.detail === 'low' ? tokensPerSmallImage : tokensPerImage;
    case 'input_audio':
      return tokensPerAudio + Math.ceil((part.input_audio.data.length * 0.75) / bytesPerAudioToken);
    case 'file':
      return tokensPerFile + Math.ceil(part.file.file_data.length * 0.75);
  }
}

/** The request of a stored job; what was stored was valid once. */
export const storedBody = (endpoint: string, request: string): JobBody =>
  ({ endpoint, request: JSON.parse(request) as unknown }) as JobBody;

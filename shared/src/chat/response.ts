/** The canonical response: a Chat Completions object, whichever provider wrote the answer. */
import { toUsageJson, type Usage } from '../domain/usage.ts';

export const finishReasons = ['stop', 'length', 'tool_calls', 'content_filter'] as const;
export type FinishReason = (typeof finishReasons)[number];

export interface ToolCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

/** What a dialect decodes, streamed or not. */
export interface Answer {
  readonly text: string;
  readonly reasoning: string;
  readonly reasoningDetails: readonly unknown[];
  readonly refusal: string | null;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: FinishReason;
  readonly logprobs: unknown;
  /** Opaque: the provider stopped in the middle, and goes on when it is given this. null: it has ended. */
  readonly continuation: unknown;
  /** Further choices of a request with `n` above 1, as the provider sent them. */
  readonly otherChoices: readonly unknown[];
  readonly providerId: string | null;
  readonly model: string | null;
  readonly usage: Usage | null;
  readonly warnings: readonly string[];
}

export const emptyAnswer: Answer = {
  text: '',
  reasoning: '',
  reasoningDetails: [],
  refusal: null,
  toolCalls: [],
  finishReason: 'stop',
  logprobs: null,
  continuation: null,
  otherChoices: [],
  providerId: null,
  model: null,
  usage: null,
  warnings: [],
};

/** True for an answer a caller can use; an empty one is `bad_output`. */
export function hasContent(answer: Answer): boolean {
  return (
    answer.text !== '' ||
    answer.toolCalls.length > 0 ||
    answer.continuation !== null ||
    answer.refusal !== null ||
    answer.finishReason === 'content_filter' ||
    answer.finishReason === 'length'
  );
}

/** The output users read: byte for byte what `output` of a job holds. */
export function toChatCompletion(answer: Answer, context: { jobId: string; target: string; createdAtMs: number }) {
  return {
    id: `chatcmpl-${context.jobId.slice(4)}`,
    object: 'chat.completion' as const,
    created: Math.floor(context.createdAtMs / 1_000),
    model: answer.model ?? context.target.slice(context.target.indexOf('/') + 1),
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant' as const,
          content: answer.text === '' && answer.toolCalls.length > 0 ? null : answer.text,
          refusal: answer.refusal,
          ...(answer.toolCalls.length > 0 ? { tool_calls: answer.toolCalls } : {}),
          ...(answer.reasoning === '' ? {} : { reasoning_content: answer.reasoning }),
          ...(answer.reasoningDetails.length === 0
            ? {}
            : { reasoning_details: answer.reasoningDetails.map((part) => ({ origin: context.target, part })) }),
        },
        logprobs: answer.logprobs,
        finish_reason: answer.finishReason,
      },
      ...answer.otherChoices,
    ],
    usage: answer.usage ? toUsageJson(answer.usage) : null,
  };
}

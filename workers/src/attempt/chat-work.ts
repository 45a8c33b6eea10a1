/** A chat completion: what is asked of the target, and whether the answer is what was asked for. */
import { checkOutput } from '@waybill/shared/chat/check-output.ts';
import { withHistory } from '@waybill/shared/chat/conversation.ts';
import { type ChatParams, type ChatRequest, outputLimitOf, withParams } from '@waybill/shared/chat/request.ts';
import { type Answer, toChatCompletion } from '@waybill/shared/chat/response.ts';
import type { Dialect, WriteResult } from '@waybill/shared/providers/dialect.ts';
import { failure } from '@waybill/shared/providers/dialect.ts';
import type { GoesOnFrom } from './begin-telling.ts';
import { type Carried, fits, mostRounds, totalUsage } from './carried.ts';
import { type Delivery, mapReader, type WireInput, type Work, type WorkInput } from './delivery.ts';

/** Answers that may be longer are streamed from the provider, so that a stall is seen early. */
const longAnswerTokens = 4_096;

export interface ChatWorkInput extends WorkInput {
  readonly defaults: ChatParams;
  /** How often this target's answer was of no use in this run: another seed may do better. */
  readonly uselessAnswers: number;
}

export function createChatWork(stored: ChatRequest, input: ChatWorkInput): Work {
  const carried = input.carried !== null && fits(input.carried, input.target) ? input.carried : null;
  // Dialects learn by the call alone whether it is streamed.
  const { stream, stream_options: _options, ...asked } = stored;
  const configured = withParams(asked, input.defaults, input.chain.params[input.target] ?? {});
  const fit = { target: input.target, windowTokens: input.windowTokens };
  const joined = withHistory(varySeed(configured, input.uselessAnswers), input.turns, fit);
  const request = goOn(joined.request, carried);
  const left = joined.dropped === 0 ? [] : [`history: ${joined.dropped} earlier turn(s) do not fit and were left out`];
  return {
    operation: 'chat',
    isStreamed: mayBeStreamed(request) && (stream === true || (outputLimitOf(request) ?? 0) > longAnswerTokens),
    told: stream === true && mayBeStreamed(request) ? { goesOnFrom: goesOnFrom(carried) } : null,
    write(dialect: Dialect, wire: WireInput): WriteResult<Delivery> {
      const written = dialect.writeChat({
        ...wire,
        request,
        stream: this.isStreamed,
        continuation: carried?.kind === 'continuation' ? carried.state : null,
      });
      if (written.kind === 'unsupported') return written;
      const toDelivery = (answer: Answer) => deliver(join(carried, answer), answer, request, carried, input);
      const http = { ...written.http, warnings: [...written.http.warnings, ...left] };
      return { ...written, http, reader: mapReader(written.reader, toDelivery) };
    },
  };
}

/** Further choices and log probabilities are not assembled from streams. */
const mayBeStreamed = (request: ChatRequest): boolean => (request.n ?? 1) === 1 && !request.logprobs;

function goesOnFrom(carried: Carried | null): GoesOnFrom | null {
  if (carried === null || carried.kind === 'vectors') return null;
  const text = { type: 'delta', kind: 'text', text: carried.text } as const;
  if (carried.kind === 'text') return { text: carried.text, deltas: [text], toolCalls: 0 };
  const calls = carried.toolCalls.map(({ id, function: { name, arguments: args } }, index) => {
    return { type: 'delta', kind: 'tool_call', index, id, name, arguments: args } as const;
  });
  const reasoning = { type: 'delta', kind: 'reasoning', text: carried.reasoning } as const;
  return { text: carried.text, deltas: [reasoning, text, ...calls], toolCalls: calls.length };
}

const varySeed = (request: ChatRequest, by: number): ChatRequest =>
  by > 0 && typeof request.seed === 'number' ? { ...request, seed: request.seed + by } : request;

/** The text of a broken stream goes back as a turn of the model's, with the request to go on: not every model takes a prefill. */
function goOn(request: ChatRequest, carried: Carried | null): ChatRequest {
  if (carried?.kind !== 'text') return request;
  return {
    ...request,
    messages: [
      ...request.messages,
      { role: 'assistant', content: carried.text },
      {
        role: 'user',
        content:
          'Your answer was cut off. Go on exactly where it ended, in the middle of a word if need be. Repeat nothing and add no remark.',
      },
    ],
  };
}

/** The whole answer so far. */
function join(carried: Carried | null, answer: Answer): Answer {
  if (carried === null || carried.kind === 'vectors') return answer;
  const usage = totalUsage(carried.usage, answer.usage);
  if (carried.kind === 'text') return { ...answer, text: carried.text + answer.text, usage };
  return {
    ...answer,
    text: carried.text + answer.text,
    reasoning: carried.reasoning + answer.reasoning,
    reasoningDetails: [...carried.reasoningDetails, ...answer.reasoningDetails],
    toolCalls: [...carried.toolCalls, ...answer.toolCalls],
    usage,
  };
}

/** @param whole with what earlier attempts said @param own of this attempt alone: that is what is billed for it */
function deliver(
  whole: Answer,
  own: Answer,
  request: ChatRequest,
  carried: Carried | null,
  input: WorkInput,
): Delivery {
  const rounds = carried === null || carried.kind === 'vectors' ? 1 : carried.rounds + 1;
  const goesOn = own.continuation !== null && rounds < mostRounds;
  return {
    model: own.model,
    providerId: own.providerId,
    usage: own.usage,
    warnings: own.warnings,
    finishReasons: [own.finishReason],
    fault: goesOn ? null : faultOf(whole, request, input),
    carried: goesOn ? toContinuation(whole, own.continuation, input.target, rounds) : null,
    kept:
      whole.text !== '' && whole.toolCalls.length === 0 && rounds < mostRounds
        ? { kind: 'text', text: whole.text, usage: whole.usage, rounds }
        : null,
    output: (context) => JSON.stringify(toChatCompletion(whole, { ...context, target: input.target })),
  };
}

const toContinuation = (whole: Answer, state: unknown, target: string, rounds: number): Carried => ({
  kind: 'continuation',
  target,
  state,
  text: whole.text,
  reasoning: whole.reasoning,
  reasoningDetails: [...whole.reasoningDetails],
  toolCalls: [...whole.toolCalls],
  usage: whole.usage,
  rounds,
});

function faultOf(answer: Answer, request: ChatRequest, { chain }: WorkInput): Delivery['fault'] {
  if (answer.refusal !== null || answer.finishReason === 'content_filter')
    return { failure: failure('refusal', 'the model refused to answer') };
  if (answer.finishReason === 'length' && chain.onLength !== 'accept')
    return { failure: failure('bad_output', 'the answer was cut by its length'), action: chain.onLength };
  const broken = answer.toolCalls.length > 0 ? null : checkOutput(answer.text, request.response_format);
  if (broken === null) return null;
  // The same limit would cut it again: another try of the same target is of no use.
  const wasCut = answer.finishReason === 'length';
  return {
    failure: failure('bad_output', wasCut ? 'the answer was cut by its length, and is not whole JSON' : broken),
    ...(wasCut ? { action: 'fallback' as const } : {}),
  };
}

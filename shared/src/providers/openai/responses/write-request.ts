/**
 * Canonical request -> OpenAI's Responses, for models that answer there alone, or reason beside tools there alone.
 *
 * Nothing is kept at OpenAI (`store: false`): reasoning comes back encrypted, and goes along with the next turn.
 * @see https://platform.openai.com/docs/api-reference/responses/create
 */
import { type ChatRequest, outputLimitOf } from '../../../chat/request.ts';
import type { CallInput, HttpWritten, Unsupported } from '../../dialect.ts';
import { bearer, postJson, withoutUnset } from '../../post-json.ts';
import { type ToolCallIds, toolCallIds } from '../../tool-call-ids.ts';
import { stopTexts } from '../../written-request.ts';
import { fitRequest, refusedFeature } from '../fit-request.ts';
import { writeInput } from './write-input.ts';

type Json = Record<string, unknown>;

const maxIdLength = 64;
/** A lower bound is refused there. */
const minOutputTokens = 16;
/** Hints that this surface has no field for. */
const withoutField = [
  'seed',
  'logit_bias',
  'frequency_penalty',
  'presence_penalty',
  'logprobs',
  'top_logprobs',
  'store',
] as const;

export const idsForResponses = ({ request }: Pick<CallInput, 'request'>): ToolCallIds =>
  toolCallIds(request, (id) => id.length <= maxIdLength);

export function writeResponsesRequest(input: CallInput): HttpWritten | Unsupported {
  const feature = refusedFeature(input) ?? absentFeature(input.request);
  if (feature !== null) return { kind: 'unsupported', feature };
  const warnings = new Set<string>();
  const { request, effort } = fitRequest(input, 'responses', warnings);
  for (const field of withoutField) {
    const isAsked = request[field] !== undefined && request[field] !== null && request[field] !== false;
    if (isAsked) warnings.add(`dropped "${field}": this model does not take it`);
  }
  const body = {
    model: input.model,
    input: writeInput({ ...input, request }, idsForResponses(input), warnings),
    max_output_tokens: writeLimit(request, warnings),
    temperature: request.temperature,
    top_p: request.top_p,
    ...writeTools(request),
    text: writeText(request),
    reasoning: effort === null ? null : { effort },
    metadata: request.metadata,
    user: request.user,
    safety_identifier: request.safety_identifier,
    prompt_cache_key: request.prompt_cache_key,
    store: false,
    include: ['reasoning.encrypted_content'],
    ...(input.stream ? { stream: true, stream_options: { include_obfuscation: false } } : {}),
  };
  return postJson(`${input.endpoint}/responses`, bearer(input.credential), body, warnings);
}

/** What changes the answer, and cannot be asked for here. */
function absentFeature(request: ChatRequest): string | null {
  if (stopTexts(request) !== undefined) return 'stop texts';
  if ((request.n ?? 1) > 1) return 'several choices';
  const hasAudio = request.messages.some(
    ({ content }) => Array.isArray(content) && content.some((part) => part.type === 'input_audio'),
  );
  return hasAudio ? 'audio' : null;
}

function writeLimit(request: ChatRequest, warnings: Set<string>): number | null {
  const limit = outputLimitOf(request);
  if (limit === null || limit >= minOutputTokens) return limit;
  warnings.add(`the output limit ${limit} sent as ${minOutputTokens}: the least that this model takes`);
  return minOutputTokens;
}

function writeTools({ tools = [], tool_choice: choice, parallel_tool_calls: parallel }: ChatRequest): Json {
  if (tools.length === 0) return {};
  return {
    tools: tools.map(({ function: fn }) => ({
      type: 'function',
      name: fn.name,
      ...(fn.description === undefined ? {} : { description: fn.description }),
      parameters: fn.parameters ?? { type: 'object', properties: {} },
      // Strict by default here, and not there.
      strict: fn.strict ?? false,
    })),
    tool_choice: writeChoice(choice),
    parallel_tool_calls: parallel,
  };
}

function writeChoice(choice: ChatRequest['tool_choice']): unknown {
  if (typeof choice !== 'object') return choice;
  if (choice.type === 'function') return { type: 'function', name: choice.function.name };
  const { mode, tools } = choice.allowed_tools;
  return { type: 'allowed_tools', mode, tools: tools.map((each) => ({ type: 'function', name: each.function.name })) };
}

function writeText({ response_format: format, verbosity }: ChatRequest): Json | null {
  const text = withoutUnset({
    format: format?.type === 'json_schema' ? withoutUnset({ type: 'json_schema', ...format.json_schema }) : format,
    verbosity,
  });
  return Object.keys(text).length === 0 ? null : text;
}

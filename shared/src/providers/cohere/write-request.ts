/** Canonical request -> Cohere's `/v2/chat`. */
import { type ChatRequest, outputLimitOf } from '../../chat/request.ts';
import type { CallInput, HttpWritten, Unsupported } from '../dialect.ts';
import { type Effort, effortFor } from '../efforts.ts';
import { bearer, postJson } from '../post-json.ts';
import { type ToolNames, toolNamesOf } from '../tool-names.ts';
import {
  allowedTools,
  droppedFields,
  droppedFromMessages,
  foreignReasoning,
  stopTexts,
  toolUse,
  withoutDropped,
} from '../written-request.ts';
import { toMessages } from './write-messages.ts';

/** A base that names the version as well is meant the same. */
export const addressOf = (endpoint: string, path: string): string =>
  `${endpoint.replace(/\/+$/, '').replace(/\/v[12]$/, '')}/v2/${path}`;

/** Cohere takes letters, digits and `_`; the canonical form takes `-` too. */
export const toolNames = (request: ChatRequest): ToolNames => toolNamesOf(request, 'A-Za-z0-9_');

const hints = [
  'logit_bias',
  'verbosity',
  'user',
  'safety_identifier',
  'metadata',
  'prompt_cache_key',
  'store',
] as const;

export function writeRequest(input: CallInput): HttpWritten | Unsupported {
  const { model, endpoint, credential, stream, target } = input;
  const { request, warnings: dropped } = withoutDropped(input);
  const feature = unsupportedFeature(request);
  if (feature !== null) return { kind: 'unsupported', feature };
  const warnings = [
    ...dropped,
    ...droppedFields(request, hints, 'Cohere'),
    ...droppedFromMessages(request, ['name', 'prompt_cache_breakpoint'], 'Cohere'),
    ...foreignReasoning(request, target),
  ];
  const limit = outputLimitOf(request);
  const names = toolNames(input.request);
  const { effort, warnings: efforts } = effortFor(request.reasoning_effort, input.quirks);
  warnings.push(...efforts);
  const body = {
    model,
    stream,
    messages: toMessages(request, target, names),
    max_tokens: limit,
    ...toSampling(request, warnings),
    ...toToolFields(request, names, warnings),
    ...toFormat(request),
    ...toThinking(effort, limit),
  };
  return postJson(addressOf(endpoint, 'chat'), bearer(credential), body, warnings);
}

const wantsJson = ({ response_format: format }: ChatRequest): boolean => format !== undefined && format.type !== 'text';

/** The tools that may be called: a name is not chosen there, it is the only one left. */
function callableTools(request: ChatRequest): NonNullable<ChatRequest['tools']> {
  const use = toolUse(request);
  const tools = allowedTools(request);
  return use.kind === 'named' ? tools.filter((each) => each.function.name === use.name) : tools;
}

function unsupportedFeature(request: ChatRequest): string | null {
  const use = toolUse(request).kind;
  const tools = callableTools(request);
  const parts = new Set(
    request.messages.flatMap(({ content }) => (Array.isArray(content) ? content.map((part) => part.type) : [])),
  );
  if (parts.has('file')) return 'files';
  if (parts.has('input_audio')) return 'audio';
  if ((request.n ?? 1) > 1) return 'several choices';
  if ((request.top_logprobs ?? 0) > 0) return 'top_logprobs';
  if ((use === 'named' || use === 'required') && tools.length === 0) return 'a forced tool that is not in its tools';
  if (wantsJson(request) && use !== 'none' && tools.length > 0) return 'response_format together with tools';
  return null;
}

/** Holds a number inside their scale, and says so. */
function within(field: string, value: number, least: number, most: number, warnings: string[]): number {
  const held = Math.min(most, Math.max(least, value));
  if (held !== value) warnings.push(`changed "${field}" to ${held}: Cohere takes ${least} to ${most}`);
  return held;
}

function toSampling(request: ChatRequest, warnings: string[]): Record<string, unknown> {
  const fields: Record<string, unknown> = { stop_sequences: stopTexts(request) };
  const { temperature, top_p: topP, seed, logprobs } = request;
  if (typeof temperature === 'number') fields.temperature = within('temperature', temperature, 0, 1, warnings);
  if (typeof topP === 'number') fields.p = within('top_p', topP, 0.01, 0.99, warnings);
  if (typeof seed === 'number') {
    if (seed >= 0) fields.seed = seed;
    else warnings.push('dropped "seed": Cohere takes none below 0');
  }
  if (logprobs) fields.logprobs = true;
  for (const field of ['frequency_penalty', 'presence_penalty'] as const) {
    const value = request[field];
    if (typeof value !== 'number') continue;
    const held = within(field, value, 0, 1, warnings);
    // Some models refuse the two together, and a penalty is a hint.
    if (held > 0 && Number(fields.frequency_penalty ?? 0) > 0)
      warnings.push(`dropped "${field}": some models of Cohere take one penalty alone`);
    else fields[field] = held;
  }
  return fields;
}

function toToolFields(request: ChatRequest, names: ToolNames, warnings: string[]): Record<string, unknown> {
  const tools = callableTools(request);
  const use = toolUse(request).kind;
  // Tools nobody may call would only keep JSON from being asked for.
  if (tools.length === 0 || (use === 'none' && wantsJson(request))) return {};
  if (request.parallel_tool_calls === false)
    warnings.push('dropped "parallel_tool_calls": Cohere may call several tools at once');
  const strict = tools.filter((each) => each.function.strict === true).length;
  if (strict > 0 && strict < tools.length)
    warnings.push('dropped "strict" of some tools: Cohere takes it for all of them or for none');
  return {
    tools: tools.map(({ function: fn }) => ({
      type: 'function',
      function: {
        name: names.toTheirs(fn.name),
        description: fn.description,
        parameters: fn.parameters ?? { type: 'object', properties: {} },
      },
    })),
    ...(strict === tools.length ? { strict_tools: true } : {}),
    ...(use === 'auto' ? {} : { tool_choice: use === 'none' ? 'NONE' : 'REQUIRED' }),
  };
}

function toFormat({ response_format: format }: ChatRequest): Record<string, unknown> {
  if (format === undefined || format.type === 'text') return {};
  const schema = format.type === 'json_schema' ? { json_schema: format.json_schema.schema } : {};
  return { response_format: { type: 'json_object', ...schema } };
}

/** In tokens. Cohere knows a budget where we know an effort; the higher efforts think as long as they like. */
const thinkingBudgets = new Map<Effort, number>([
  ['minimal', 1_024],
  ['low', 2_048],
  ['medium', 8_192],
]);

/** Reasoning is on by default in models that can; half of a bounded answer is left to the answer itself. */
function toThinking(effort: Effort | null, limit: number | null): Record<string, unknown> {
  if (effort === null) return {};
  if (effort === 'none') return { thinking: { type: 'disabled' } };
  const budget = thinkingBudgets.get(effort);
  if (budget === undefined) return { thinking: { type: 'enabled' } };
  const half = Math.ceil((limit ?? Number.POSITIVE_INFINITY) / 2);
  return { thinking: { type: 'enabled', token_budget: Math.min(budget, half) } };
}

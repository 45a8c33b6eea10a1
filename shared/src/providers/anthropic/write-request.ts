/** Canonical request -> Anthropic Messages. */
import { type ChatRequest, outputLimitOf } from '../../chat/request.ts';
import type { CallInput, HttpWritten, Unsupported } from '../dialect.ts';
import { effortFor } from '../efforts.ts';
import { postJson } from '../post-json.ts';
import { asList, asRecord } from '../provider-json.ts';
import {
  droppedFields,
  droppedFromMessages,
  foreignReasoning,
  ownReasoning,
  stopTexts,
  withoutDropped,
} from '../written-request.ts';
import { toEnforceable } from './json-schema.ts';
import { defaultMaxTokens, takesPrefill, takesSampling, thinkingFor } from './model-rules.ts';
import {
  type Block,
  isInstruction,
  isThinking,
  limitMarks,
  toConversation,
  unsupportedPart,
} from './write-messages.ts';
import { answerAsTool, planTools, type ToolPlan, writeTools } from './write-tools.ts';

const defaultApiVersion = '2023-06-01';

const unknownFields = [
  'seed',
  'logit_bias',
  'frequency_penalty',
  'presence_penalty',
  'verbosity',
  'prompt_cache_key',
  'metadata',
  'store',
];

export function writeRequest(input: CallInput): HttpWritten | Unsupported {
  const { model, endpoint, credential, stream, target } = input;
  const { request, warnings: dropped } = withoutDropped(input);
  const feature = unsupportedFeature(request, input);
  if (feature !== null) return { kind: 'unsupported', feature };
  const plan = planTools(request, model);
  if (plan.kind === 'unsupported') return plan;
  const apiVersion = input.apiVersion ?? defaultApiVersion;
  const warnings = [
    ...dropped,
    ...droppedFields(request, unknownFields, 'Anthropic'),
    ...droppedFromMessages(request, ['name', 'detail'], 'Anthropic'),
    ...foreignReasoning(request, target),
  ];
  const answer = plan.kind === 'as_answer' ? answerAsTool(plan.tool) : null;
  const messages = writeMessages(input, request, answer?.instruction ?? null);
  const thinking = writeThinking(request, input, plan);
  const format = answer ?? writeFormat(request);
  const sampling = writeSampling(request, takesSampling(model, apiVersion), thinking.isOn);
  const stop = writeStop(request);
  const tools = writeTools(request, plan);
  const config = {
    ...(thinking.effort === null ? {} : { effort: thinking.effort }),
    ...(format.format ? { format: format.format } : {}),
  };
  const user = request.safety_identifier ?? request.user;
  const body = {
    model,
    max_tokens: thinking.maxTokens,
    ...messages.body,
    ...(stream ? { stream: true } : {}),
    ...stop.body,
    ...sampling.body,
    ...tools.body,
    ...thinking.body,
    ...(Object.keys(config).length > 0 ? { output_config: config } : {}),
    ...(user ? { metadata: { user_id: user } } : {}),
  };
  const auth = { 'anthropic-version': apiVersion, ...(credential ? { 'x-api-key': credential.reveal() } : {}) };
  const told = [messages, thinking, format, sampling, stop, tools].flatMap((piece) => piece.warnings);
  return postJson(`${endpoint}/messages`, auth, body, [...warnings, ...told]);
}

/** The tool whose arguments the answer will be, as `writeRequest` asks for it; null: none. */
export function answerToolOf(input: CallInput): string | null {
  const plan = planTools(withoutDropped(input).request, input.model);
  return plan.kind === 'as_answer' ? plan.tool.name : null;
}

function unsupportedFeature(request: ChatRequest, { model, quirks }: CallInput): string | null {
  if (request.logprobs) return 'log probabilities';
  if ((request.n ?? 1) > 1) return 'several choices';
  if (request.response_format?.type === 'json_object') return 'JSON without a schema';
  if (request.messages.at(-1)?.role === 'assistant' && !takesPrefill(model)) return 'an answer that is begun for it';
  return unsupportedPart(request, quirks);
}

interface Piece {
  readonly body: Block;
  readonly warnings: readonly string[];
}

function writeMessages(
  { model, target, continuation }: CallInput,
  request: ChatRequest,
  instruction: string | null,
): Piece {
  const { system: opening, turns, warnings: changes } = toConversation(request, model, target);
  const system = instruction === null ? [...opening] : [...opening, { type: 'text', text: instruction }];
  const warnings = [...changes, ...limitMarks([...system, ...turns.flatMap((turn) => turn.content)])];
  const last = turns.at(-1);
  const prefilled = last?.role === 'assistant' ? last.content.findLast((block) => block.type === 'text') : undefined;
  // A beginning that ends in white space is refused.
  if (prefilled && prefilled === last?.content.at(-1)) prefilled.text = String(prefilled.text).trimEnd();
  const soFar = asList(continuation).map(asRecord);
  const isPlain = system.every((block) => block.cache_control === undefined);
  return {
    body: {
      ...(system.length === 0 ? {} : { system: isPlain ? system.map((block) => block.text).join('\n\n') : system }),
      messages: soFar.length === 0 ? turns : [...turns, { role: 'assistant', content: soFar }],
    },
    warnings,
  };
}

function writeThinking(request: ChatRequest, { model, quirks, stream, target }: CallInput, plan: ToolPlan) {
  const { effort, warnings } = effortFor(request.reasoning_effort, quirks);
  const maxTokens = outputLimitOf(request) ?? defaultMaxTokens(model, effort, stream);
  const said = thinkingFor(model, effort, maxTokens);
  const isOn = said.thinking?.type === 'enabled' || said.thinking?.type === 'adaptive';
  const obstacle = isOn ? obstacleToThinking(request, target, plan, said.thinking?.type === 'enabled') : null;
  const thinking = obstacle === null ? said.thinking : null;
  return {
    maxTokens,
    effort: said.effort,
    isOn: isOn && obstacle === null,
    body: thinking ? { thinking } : {},
    warnings: [...said.warnings, ...warnings, ...(obstacle === null ? [] : [`asked for no thinking: ${obstacle}`])],
  };
}

/** @param isBudgeted older models want the thinking back that led to a call they are given the results of */
function obstacleToThinking(request: ChatRequest, target: string, plan: ToolPlan, isBudgeted: boolean): string | null {
  if (plan.kind === 'plain' && plan.isForced) return 'it cannot go with a forced tool call';
  if (request.messages.at(-1)?.role === 'assistant') return 'the answer is begun for it';
  if (!isBudgeted || request.messages.findLast((message) => !isInstruction(message))?.role !== 'tool') return null;
  const calling = request.messages.findLast((message) => message.role === 'assistant');
  const kept = calling ? ownReasoning(calling, target).map(asRecord).some(isThinking) : false;
  return kept ? null : 'the call it goes on from was made without it';
}

function writeFormat({ response_format: format }: ChatRequest) {
  if (format?.type !== 'json_schema') return { format: null, warnings: [] };
  const { schema, warnings } = toEnforceable(format.json_schema.schema);
  return { format: { type: 'json_schema', schema }, warnings };
}

function writeSampling({ temperature, top_p: topP }: ChatRequest, takes: boolean, isThinking: boolean): Piece {
  const body: Block = {};
  const warnings: string[] = [];
  const reason = takes ? 'it cannot go with thinking' : 'this model does not take it';
  const may = takes && !isThinking;
  if (typeof temperature === 'number') {
    // The canonical scale ends at 2, theirs at 1.
    if (may) body.temperature = Math.min(1, temperature);
    else warnings.push(`dropped "temperature": ${reason}`);
    if (may && temperature > 1) warnings.push('wrote "temperature" as 1: the scale of Anthropic ends there');
  }
  if (typeof topP === 'number') {
    // Claude 4.5 and 4.6 refuse the two together; temperature is the one callers mean.
    if (may && body.temperature === undefined) body.top_p = topP;
    else warnings.push(`dropped "top_p": ${may ? 'it cannot go with "temperature"' : reason}`);
  }
  return { body, warnings };
}

/** Stop texts of white space are refused. */
function writeStop(request: ChatRequest): Piece {
  const texts = stopTexts(request) ?? [];
  const kept = texts.filter((text) => text.trim() !== '');
  return {
    body: kept.length === 0 ? {} : { stop_sequences: kept },
    warnings: kept.length === texts.length ? [] : ['dropped a stop text of white space: Anthropic refuses it'],
  };
}

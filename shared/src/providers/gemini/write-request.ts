/** Canonical request -> `generateContent`. */
import { type ChatRequest, outputLimitOf } from '../../chat/request.ts';
import type { CallInput, HttpWritten, Unsupported, Wire } from '../dialect.ts';
import { postJson } from '../post-json.ts';
import { asTextOrNull, type Json } from '../provider-json.ts';
import { droppedFields, foreignReasoning, stopTexts, withoutDropped } from '../written-request.ts';
import { droppedKeywords, toKnownSchema } from './json-schema.ts';
import { modelPath, versionOf } from './model-version.ts';
import { toThinking } from './thinking.ts';
import { writeContents } from './write-contents.ts';
import { writeTools } from './write-tools.ts';

const noEquivalent = ['logit_bias', 'verbosity', 'user', 'safety_identifier', 'prompt_cache_key'];

export function writeRequest(input: CallInput): HttpWritten | Unsupported {
  const { request, warnings: refused } = withoutDropped(input);
  if ((request.n ?? 1) > 1) return { kind: 'unsupported', feature: 'multiple choices' };
  if (input.quirks.imageInput !== 'url' && hasRemoteImage(request))
    return { kind: 'unsupported', feature: 'images by address' };
  const written = writeContents({ request, target: input.target, model: input.model });
  if (written.kind === 'unsupported') return written;
  const tools = writeTools(request);
  const config = writeConfig(request, input);
  const labels = toLabels(request.metadata);
  const token = asTextOrNull(input.continuation);
  const body: Json = {
    ...written.fields,
    ...tools.fields,
    ...(Object.keys(config.fields).length > 0 ? { generationConfig: config.fields } : {}),
    ...labels.fields,
    ...(typeof request.store === 'boolean' ? { store: request.store } : {}),
    ...(token === null ? {} : { continuationToken: token }),
  };
  const warnings = [
    ...refused,
    ...written.warnings,
    ...foreignReasoning(request, input.target),
    ...tools.warnings,
    ...config.warnings,
    ...labels.warnings,
    ...droppedFields(request, noEquivalent, 'Gemini'),
    ...(request.logprobs ? [] : droppedFields(request, ['top_logprobs'], 'Gemini without "logprobs"')),
  ];
  const method = input.stream ? 'streamGenerateContent?alt=sse' : 'generateContent';
  return postJson(addressOf(input, method), authOf(input), body, warnings);
}

const hasRemoteImage = ({ messages }: ChatRequest): boolean =>
  messages.some(
    ({ content }) =>
      Array.isArray(content) &&
      content.some((part) => part.type === 'image_url' && !part.image_url.url.startsWith('data:')),
  );

export const addressOf = ({ endpoint, model }: Wire, method: string): string =>
  `${endpoint}/${modelPath(model).split('/').map(encodeURIComponent).join('/')}:${method}`;

/** The credential goes into a header: addresses are written to logs. */
export const authOf = ({ credential }: Wire): Record<string, string> =>
  credential ? { 'x-goog-api-key': credential.reveal() } : {};

interface Written {
  readonly fields: Json;
  readonly warnings: readonly string[];
}

const mostStops = 5;

function writeConfig(request: ChatRequest, { model, quirks }: CallInput): Written {
  const stops = stopTexts(request);
  const thinking = toThinking(request.reasoning_effort, model, quirks);
  const format = writeFormat(request.response_format);
  const seed = isInt32(request.seed) ? request.seed : undefined;
  const all = {
    maxOutputTokens: outputLimitOf(request),
    temperature: request.temperature,
    topP: request.top_p,
    stopSequences: stops?.slice(0, mostStops),
    seed,
    frequencyPenalty: request.frequency_penalty,
    presencePenalty: request.presence_penalty,
    responseLogprobs: request.logprobs || null,
    logprobs: request.logprobs ? request.top_logprobs : null,
    thinkingConfig: thinking.config,
    ...format.fields,
  };
  const isCool = typeof request.temperature === 'number' && request.temperature !== 1 && versionOf(model) >= 3;
  return {
    fields: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== null)),
    warnings: [
      ...(isCool ? ['Google advises against any "temperature" but 1 from Gemini 3 on: answers may loop'] : []),
      ...((stops?.length ?? 0) > mostStops ? [`dropped all but ${mostStops} of "stop": Gemini takes no more`] : []),
      ...(seed === undefined && typeof request.seed === 'number' ? ['dropped "seed": Gemini takes 32 bits'] : []),
      ...thinking.warnings,
      ...format.warnings,
    ],
  };
}

const isInt32 = (value: unknown): value is number => typeof value === 'number' && (value | 0) === value;

function writeFormat(format: ChatRequest['response_format']): Written {
  if (format?.type === 'json_object') return { fields: { responseMimeType: 'application/json' }, warnings: [] };
  if (format?.type !== 'json_schema') return { fields: {}, warnings: [] };
  const { schema, description } = format.json_schema;
  const known = toKnownSchema(schema);
  return {
    fields: {
      responseMimeType: 'application/json',
      responseJsonSchema: description === undefined ? known.schema : { description, ...known.schema },
    },
    warnings: droppedKeywords(known.dropped, 'the schema of the answer'),
  };
}

/** Labels of Google's have a narrow alphabet; one outside of it would fail the whole request. */
function toLabels(metadata: ChatRequest['metadata']): Written {
  const all = Object.entries(metadata ?? {});
  const fit = all.filter(([key, value]) => /^[a-z][a-z0-9_-]{0,62}$/.test(key) && /^[a-z0-9_-]{0,63}$/.test(value));
  return {
    fields: fit.length > 0 ? { labels: Object.fromEntries(fit) } : {},
    warnings:
      fit.length < all.length ? [`dropped ${all.length - fit.length} of "metadata": no labels of Google's`] : [],
  };
}

/**
 * The parts of the providers' pages that the code knows better than a writer: rendered from presets, catalogue, dialects
 * and error tables, and put between two marks. A test holds the pages and the code equal.
 *
 * `node test/support/provider-pages.ts` writes them anew.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Capability } from '@waybill/shared/chat/capabilities.ts';
import type { ChatRequest } from '@waybill/shared/chat/request.ts';
import { catalogueDate, type Maker, modelTable } from '@waybill/shared/providers/catalogue/model-table.ts';
import { defaultModels } from '@waybill/shared/providers/catalogue.ts';
import { dialectOf } from '@waybill/shared/providers/dialects.ts';
import { listUrl } from '@waybill/shared/providers/listing/list-url.ts';
import { type Preset, presetOf, presets } from '@waybill/shared/providers/presets.ts';
import { lackedBy, plainQuirks, type Quirks, quirksFileSchema } from '@waybill/shared/providers/quirks.ts';
import { code, codes, errors, kinds, table } from './provider-error-tables.ts';
import { projectRoot } from './source-tree.ts';

const folder = 'docs/providers';
/** Pages with generated parts, from the project's root. */
export const generatedPages = (): string[] => [
  'docs/configuration.md',
  ...readdirSync(join(projectRoot, folder))
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `${folder}/${name}`),
];

const count = (value: number): string => value.toLocaleString('en-US');

/* What a provider is and has. */

const lacksOf = ({ dialect, lacks, quirks }: Preset): Set<Capability> =>
  new Set([...dialectOf(dialect).lacks, ...lacks, ...lackedBy(quirks)]);

const embedsWith = (preset: Preset) =>
  lacksOf(preset).has('embeddings') ? null : dialectOf(preset.dialect).embeddings;

const words: Readonly<Record<Capability, string>> = {
  tools: 'tools',
  json_schema: 'output by a JSON schema',
  json_object: 'JSON without a schema',
  vision: 'images',
  logprobs: 'log probabilities',
  multiple_choices: '`n` above 1',
  forced_tool: 'a forced tool call',
  audio_input: 'audio',
  file_input: 'files',
  embeddings: 'embeddings',
};

const credentialOf = ({ credentialVariables, needsCredential }: Preset): string => {
  const names = credentialVariables.map(code).join(' or ');
  return names === '' ? (needsCredential ? 'as configured' : 'none') : needsCredential ? names : `${names} (optional)`;
};

const usualModel = ({ id, probes, endpoint }: Preset): string => {
  const model = defaultModels[id];
  if (model) return probes.length > 0 ? `${code(model)}, else the first it lists` : code(model);
  return probes.length > 0 ? 'the first it lists' : endpoint === null ? 'as configured' : 'none';
};

const addresses = ({ endpoint, probes }: Preset): string => {
  const found = probes.map((each) => each.endpoint);
  return found.length > 0 ? found.map(code).join(', ') : endpoint === null ? 'as configured' : code(endpoint);
};

const healthOf = ({ healthPath, modelListing, endpoint }: Preset): string =>
  healthPath !== null
    ? code(`GET ${healthPath}`)
    : modelListing === 'none'
      ? 'not asked'
      : listOf({ modelListing, endpoint });

const listOf = ({ modelListing, endpoint }: Pick<Preset, 'modelListing' | 'endpoint'>): string => {
  const url = listUrl(modelListing, endpoint ?? 'http://server/v1', null);
  return url === null ? 'none that could be called' : code(`GET ${new URL(url).pathname}`);
};

function facts(preset: Preset): string {
  const { dialect, concurrency, isLocal, pricesAs, quirks } = preset;
  const lacks = [...lacksOf(preset)].map((each) => words[each]);
  const embeddings = embedsWith(preset);
  return table(
    ['', ''],
    [
      ['dialect', code(dialect)],
      ['address', addresses(preset)],
      ['credential', credentialOf(preset)],
      ['default model', usualModel(preset)],
      [
        'calls at once',
        `${concurrency} per model at each account and address, unless \`limits.concurrency\` says otherwise`,
      ],
      ['embeddings', embeddings === null ? 'none' : `up to ${count(embeddings.maxInputs)} inputs per request`],
      ['cannot', lacks.length === 0 ? 'nothing that is known of all its models' : lacks.join(', ')],
      [
        'efforts',
        quirks.efforts === null ? 'as the model takes them' : `${codes(quirks.efforts)}; others become the nearest`,
      ],
      ['list of models', listOf(preset)],
      ['health', healthOf(preset)],
      ['prices', pricesAs === null ? (isLocal ? 'free' : 'as configured, else unknown') : `table ${code(pricesAs)}`],
    ],
  );
}

const makers: Readonly<Record<string, Maker>> = {
  openai: 'openai',
  anthropic: 'anthropic',
  gemini: 'google',
  cohere: 'cohere',
  groq: 'groq',
  mistral: 'mistral',
};

function models({ id }: Preset): string {
  const own = Object.entries(modelTable).filter(([, { maker }]) => maker === makers[id]);
  const rows = own.map(([model, { contextWindow, maxOutput, lacks }]) => [
    code(model),
    contextWindow === null ? 'unknown' : count(contextWindow),
    maxOutput === null ? 'unknown' : count(maxOutput),
    lacks.map((each) => words[each]).join(', '),
  ]);
  const intro = `What the catalogue of ${catalogueDate} holds. \`context_window\` and \`capabilities\` of a model in the configuration win over it; a model that is not here may be used all the same.`;
  return `${intro}\n\n${table(['model', 'context window', 'longest output', 'cannot, besides'], rows)}`;
}

/* What becomes of the fields of a request. */

const base = { model: 'model', messages: [{ role: 'user' as const, content: 'hello' }] };
const tool = { type: 'function' as const, function: { name: 'look' } };
/** Each alone: a field is lost for its own sake, not for its neighbour's. */
const hints: Readonly<Record<string, Partial<ChatRequest>>> = {
  seed: { seed: 7 },
  logit_bias: { logit_bias: { '1': 1 } },
  frequency_penalty: { frequency_penalty: 0.5 },
  presence_penalty: { presence_penalty: 0.5 },
  temperature: { temperature: 0.5 },
  top_p: { top_p: 0.5 },
  stop: { stop: ['.'] },
  parallel_tool_calls: { tools: [tool], parallel_tool_calls: false },
  verbosity: { verbosity: 'low' },
  user: { user: 'a' },
  safety_identifier: { safety_identifier: 'a' },
  prompt_cache_key: { prompt_cache_key: 'a' },
  metadata: { metadata: { team: 'a' } },
  store: { store: true },
  'name of messages': { messages: [{ role: 'user', content: 'hello', name: 'ann' }] },
};

function fieldsLost(preset: Preset): string {
  const model = defaultModels[preset.id] ?? 'model';
  const lost = Object.entries(hints).flatMap(([field, change]) => {
    const written = dialectOf(preset.dialect).writeChat({
      request: { ...base, ...change } as ChatRequest,
      model,
      endpoint: preset.endpoint ?? 'http://server/v1',
      credential: null,
      apiVersion: preset.apiVersion,
      quirks: preset.quirks,
      stream: false,
      target: `${preset.id}/${model}`,
      contextWindow: null,
      continuation: null,
      nowMs: 0,
    });
    if (written.kind !== 'request') throw new Error(`${preset.id} refuses a request with a mere hint, "${field}"`);
    return written.http.warnings.some((warning) => warning.startsWith('dropped')) ? [field] : [];
  });
  const whose = defaultModels[preset.id] ? 'With the default model, ' : '';
  if (lost.length === 0) return `${whose}${whose === '' ? 'N' : 'n'}o field of a request is lost.`;
  const names = lost.map((field) => (field.includes(' ') ? field : code(field))).join(', ');
  return `${whose}${whose === '' ? 'L' : 'l'}ost with a warning on the attempt: ${names}.`;
}

/* Parts of the overview. */

const yes = (value: boolean): string => (value ? 'yes' : 'no');
const isPage = (preset: Preset): string => `[${code(preset.id)}](${preset.id}.md)`;

const overview = (): string =>
  table(
    ['preset', 'dialect', 'embeddings', 'tools', 'images', 'JSON schema', 'usage of a stream'],
    presets.map((preset) => {
      const lacks = lacksOf(preset);
      return [
        isPage(preset),
        code(preset.dialect),
        yes(embedsWith(preset) !== null),
        yes(!lacks.has('tools')),
        yes(!lacks.has('vision')),
        yes(!lacks.has('json_schema')),
        preset.quirks.streamUsage && ['openai', 'azure-openai'].includes(preset.dialect) ? 'asked for' : 'always there',
      ];
    }),
  );

const found = (): string =>
  table(
    ['preset', 'credential', 'default model', 'address'],
    presets.map((preset) => [
      `[${code(preset.id)}](providers/${preset.id}.md)`,
      credentialOf(preset),
      usualModel(preset),
      addresses(preset),
    ]),
  );

const quirkMeanings: Readonly<Record<keyof Quirks, string>> = {
  maxTokensField: 'the field that bounds the answer',
  systemRole: 'the role that instructions are sent under',
  streamUsage: 'takes `stream_options: { include_usage: true }`',
  jsonMode: 'how JSON is asked for; `none`: it cannot be',
  forcedTools: 'can be made to call a tool',
  parallelToolCalls: 'takes `parallel_tool_calls`',
  imageInput: '`data`: as data URIs alone; `url`: by address too',
  fileInput: 'the part a file is sent as',
  audioInput: 'how sound is written: with its format, or its base64 alone',
  messageNames: 'takes `name` of messages',
  toolResultNames: "wants the function's name beside the result of a tool",
  seedField: 'the field of the seed',
  reasoningRequest: 'how the reasoning effort is said',
  efforts: 'efforts it knows; others become the nearest',
  reasoningReplay: 'which reasoning of earlier turns it takes back',
  toolCallIds: 'how ids of tool calls must look',
  dimensionsField: 'the field of the length of an embedding',
  requireParameters: 'chooses a server by itself, and is told to choose none that ignores a field',
  vendorRules: "whose rules for single models hold: OpenAI's",
  drop: 'fields it refuses or ignores: left out, with a warning',
};

const toSnake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const valueText = (value: unknown): string => (Array.isArray(value) && value.length === 0 ? '[]' : String(value));

/** The names and values that the configuration takes; a list is told as a list of what may stand in it. */
function quirks(): string {
  const usual: Quirks = presetOf('openai-compatible')?.quirks ?? plainQuirks;
  const rows = Object.entries(quirkMeanings).map(([name, meaning]) => {
    const field = toSnake(name);
    const allowed = valuesOf(field);
    return [code(field), allowed, code(valueText(usual[name as keyof Quirks])), meaning];
  });
  return table(['field', 'values', 'default', 'meaning'], rows);
}

/** By asking the schema: what it says of a value it cannot take. */
function valuesOf(field: string): string {
  const parsed = quirksFileSchema.safeParse({ [field]: { no: 'value' } });
  const [issue] = parsed.error?.issues ?? [];
  if (issue?.code === 'invalid_value') return codes(issue.values.map(String));
  const expected = issue?.code === 'invalid_type' ? issue.expected : '';
  if (expected === 'boolean') return codes(['true', 'false']);
  if (expected === 'array') return field === 'efforts' ? `a list, or ${code('null')}: any` : 'a list of fields';
  throw new Error(`Cannot tell what the quirk "${field}" takes`);
}

/* Pages. */

const ofOverview: Readonly<Record<string, () => string>> = { overview, kinds, quirks, presets: found };
const ofPreset: Readonly<Record<string, (preset: Preset) => string>> = { facts, models, fields: fieldsLost, errors };

function partOf(page: string, name: string): string {
  const preset = presetOf(page.replace(/^.*\/(.*)\.md$/, '$1'));
  const render = ofOverview[name] ?? (preset && ofPreset[name] ? () => ofPreset[name]?.(preset) ?? '' : undefined);
  if (!render) throw new Error(`Cannot render the part "${name}" of ${page}: nothing of that name is known`);
  return render();
}

const marks = /<!-- generated: (?<name>[a-z]+) -->\n.*?<!-- end -->/gs;

/** The page with its generated parts as they should be. */
export const withParts = (page: string, text: string): string =>
  text.replaceAll(marks, (_, name: string) => `<!-- generated: ${name} -->\n\n${partOf(page, name)}\n\n<!-- end -->`);

export const partNames = (text: string): string[] => [...text.matchAll(marks)].map(({ groups }) => groups?.name ?? '');

if (import.meta.main)
  for (const page of generatedPages()) {
    const path = join(projectRoot, page);
    const text = readFileSync(path, 'utf8');
    const written = withParts(page, text);
    if (written !== text) writeFileSync(path, written);
  }

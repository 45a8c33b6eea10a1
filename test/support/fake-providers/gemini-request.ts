/** What `generateContent` and `streamGenerateContent` take. */
import {
  anything,
  between,
  closed,
  either,
  filled,
  flag,
  isRecord,
  type Json,
  list,
  listOf,
  matching,
  need,
  oneOf,
  type Rule,
  record,
  recordOf,
  text,
  whole,
} from './shape.ts';
import { type Asked, type Heard, type HeardPart, heard, num } from './wire.ts';

const bypass = 'skip_thought_signature_validator';
const signature = matching(new RegExp(`^(sealed:.*|${bypass})$`));
const functionName = matching(/^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$/);

const part: Rule = (value, at) => {
  closed({
    'text?': text,
    'thought?': flag,
    'thoughtSignature?': signature,
    'inlineData?': closed({ mimeType: matching(/^[a-z]+\/[a-z0-9.+-]+$/), data: matching(/^[A-Za-z0-9+/]+=*$/) }),
    'fileData?': closed({ mimeType: filled, fileUri: matching(/^(https:|gs:)/) }),
    'functionCall?': closed({ 'id?': filled, name: functionName, 'args?': record }),
    'functionResponse?': closed({ 'id?': filled, name: functionName, response: record }),
  })(value, at);
  const kinds = ['text', 'inlineData', 'fileData', 'functionCall', 'functionResponse'].filter(
    (kind) => kind in recordOf(value),
  );
  need(kinds.length === 1, `${at}: required oneof field 'data' must have one initialized field`);
};

const content: Rule = closed({ role: oneOf('user', 'model'), parts: list(part, 1) });

const settings: Rule = closed({
  'temperature?': between(0, 2),
  'topP?': between(0, 1),
  'topK?': between(1, 1_000),
  'candidateCount?': whole(1, 8),
  'maxOutputTokens?': whole(1),
  'stopSequences?': list(filled, 1, 5),
  'seed?': whole(-(2 ** 31), 2 ** 31 - 1),
  'responseMimeType?': oneOf('text/plain', 'application/json'),
  'responseJsonSchema?': record,
  'responseSchema?': record,
  'presencePenalty?': between(-2, 2),
  'frequencyPenalty?': between(-2, 2),
  'responseLogprobs?': flag,
  'logprobs?': whole(0, 20),
  'thinkingConfig?': closed({
    'includeThoughts?': flag,
    'thinkingBudget?': whole(-1),
    'thinkingLevel?': oneOf('MINIMAL', 'LOW', 'MEDIUM', 'HIGH'),
  }),
});

const body: Rule = closed({
  contents: list(content, 1),
  'systemInstruction?': closed({ 'role?': anything, parts: list(closed({ text: filled }), 1) }),
  'tools?': list(
    closed({
      functionDeclarations: list(
        closed({ name: functionName, 'description?': text, 'parametersJsonSchema?': record, 'parameters?': record }),
        1,
      ),
    }),
    1,
  ),
  'toolConfig?': closed({
    functionCallingConfig: closed({
      mode: oneOf('AUTO', 'ANY', 'NONE', 'VALIDATED'),
      'allowedFunctionNames?': list(filled, 1),
    }),
  }),
  'safetySettings?': list(closed({ category: filled, threshold: filled })),
  'generationConfig?': settings,
  'labels?': record,
  'store?': flag,
  'serviceTier?': either(oneOf('flex', 'standard', 'priority'), oneOf('FLEX', 'STANDARD', 'PRIORITY')),
  'continuationToken?': filled,
  'cachedContent?': filled,
});

const schemaWords = new Set(
  '$id $defs $ref $anchor type format title description enum items prefixItems minItems maxItems minimum maximum anyOf oneOf properties additionalProperties required propertyOrdering'.split(
    ' ',
  ),
);

function checkSchema(schema: unknown, isNames = false): void {
  if (!isRecord(schema)) return;
  for (const [name, each] of Object.entries(schema)) {
    need(isNames || schemaWords.has(name), `response_json_schema: Unknown name "${name}"`);
    if (isNames) checkSchema(each);
    else if (name === 'properties' || name === '$defs') checkSchema(each, true);
    else if (['items', 'additionalProperties'].includes(name)) checkSchema(each);
    else if (['anyOf', 'oneOf', 'prefixItems'].includes(name)) for (const one of listOf(each)) checkSchema(one);
  }
}

const majorOf = (model: string): number => Number(/gemini-(\d+)/.exec(model)?.[1] ?? 0);
export const modelOf = (path: string): string => decodeURIComponent(/^\/models\/([^:]+):/.exec(path)?.[1] ?? '');

function checkTurns(contents: readonly Json[], model: string): void {
  need(contents[0]?.role === 'user', 'Please ensure that the first content is of the role user');
  const partsOf = (index: number, kind: string): Json[] =>
    listOf(contents[index]?.parts)
      .filter((each) => kind in each)
      .map((each) => recordOf(each[kind]));
  const lastAsked = contents.findLastIndex(
    (each) => each.role === 'user' && listOf(each.parts).some((one) => !('functionResponse' in one)),
  );
  for (const [index, each] of contents.entries()) {
    const calls = partsOf(index, 'functionCall');
    const answers = partsOf(index, 'functionResponse');
    need(calls.length === 0 || each.role === 'model', 'a function call is of the role model');
    need(answers.length === 0 || each.role === 'user', 'a function response is of the role user');
    const open = index === 0 ? [] : partsOf(index - 1, 'functionCall');
    need(
      answers.length === open.length,
      'Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.',
    );
    need(
      answers.every((answer) =>
        open.some((call) => call.name === answer.name && (call.id === undefined || call.id === answer.id)),
      ),
      'function response: its name and id must be those of its call',
    );
    const first = listOf(each.parts).find((one) => 'functionCall' in one);
    if (majorOf(model) >= 3 && first && index > lastAsked)
      need(first.thoughtSignature !== undefined, 'Function call is missing a thought_signature in functionCall parts.');
  }
  need(
    partsOf(contents.length - 1, 'functionCall').length === 0,
    'a function call turn must be followed by its responses',
  );
}

export function checkGenerate({ path, query, headers, body: given }: Asked): void {
  need(headers['x-goog-api-key'] !== undefined, 'Method does not allow unregistered callers.', {
    status: 403,
    code: 'PERMISSION_DENIED',
  });
  need(!query.has('key'), 'the key is in the address, where logs keep it');
  body(given, '');
  const model = modelOf(path);
  checkTurns(listOf(given.contents), model);
  const config = recordOf(given.generationConfig);
  const thinking = recordOf(config.thinkingConfig);
  need(
    config.responseJsonSchema === undefined || config.responseMimeType === 'application/json',
    'response_json_schema is only allowed when response_mime_type is application/json',
  );
  need(
    thinking.thinkingLevel === undefined || thinking.thinkingBudget === undefined,
    'You can only set one of thinking budget and thinking level.',
  );
  need(thinking.thinkingLevel === undefined || majorOf(model) >= 3, 'Thinking level is not supported for this model.');
  need(thinking.thinkingBudget === undefined || majorOf(model) < 3, 'Thinking budget is not supported for this model.');
  checkSchema(config.responseJsonSchema);
  need(config.logprobs === undefined || config.responseLogprobs === true, 'logprobs needs response_logprobs');
  const calling = recordOf(recordOf(given.toolConfig).functionCallingConfig);
  const names = listOf(given.tools).flatMap((each) => listOf(each.functionDeclarations).map(({ name }) => name));
  need(new Set(names).size === names.length, 'Duplicate function declaration found');
  const allowed = (calling.allowedFunctionNames as string[] | undefined) ?? [];
  need(
    allowed.length === 0 || ['ANY', 'VALIDATED'].includes(String(calling.mode)),
    'allowed_function_names needs the mode ANY',
  );
  need(
    allowed.every((name) => names.includes(name)),
    'allowed_function_names: not a declared function',
  );
  need(calling.mode === undefined || names.length > 0, 'Function calling config is set without function_declarations.');
}

function hearPart(who: 'user' | 'model', each: Json): HeardPart[] {
  const bound: HeardPart[] =
    typeof each.thoughtSignature === 'string' && each.thoughtSignature !== bypass
      ? [{ who: 'model', bound: each.thoughtSignature }]
      : [];
  const { functionCall, functionResponse, inlineData, fileData } = each;
  if (isRecord(functionCall))
    return [
      ...bound,
      {
        who: 'model',
        call: {
          id: (functionCall.id as string | undefined) ?? null,
          name: String(functionCall.name),
          arguments: functionCall.args ?? {},
        },
      },
    ];
  if (isRecord(functionResponse)) {
    const response = recordOf(functionResponse.response);
    const output = 'output' in response ? response.output : response;
    const said = typeof output === 'string' ? output : JSON.stringify(output);
    return [
      {
        who: 'result',
        id: (functionResponse.id as string | undefined) ?? null,
        name: String(functionResponse.name),
        text: said,
      },
    ];
  }
  if (isRecord(inlineData)) return [{ who: 'user', image: String(inlineData.data) }];
  if (isRecord(fileData)) return [{ who: 'user', image: String(fileData.fileUri) }];
  if (each.thought === true) return [{ who: 'model', bound: each }];
  return each.text === '' ? bound : [...bound, { who, text: String(each.text) }];
}

export function hearGenerate({ path, body: given }: Asked): Heard {
  const config = recordOf(given.generationConfig);
  const calling = recordOf(recordOf(given.toolConfig).functionCallingConfig);
  const allowed = (calling.allowedFunctionNames as string[] | undefined) ?? [];
  const isJson = config.responseMimeType === 'application/json';
  const schema = config.responseJsonSchema ?? config.responseSchema;
  return heard({
    model: modelOf(path),
    parts: [
      ...listOf(recordOf(given.systemInstruction).parts).map(
        (each): HeardPart => ({ who: 'system', text: String(each.text) }),
      ),
      ...listOf(given.contents).flatMap((each) =>
        listOf(each.parts).flatMap((one) => hearPart(each.role === 'model' ? 'model' : 'user', one)),
      ),
    ],
    tools: listOf(given.tools).flatMap((each) =>
      listOf(each.functionDeclarations).map(({ name, description, parametersJsonSchema, parameters }) => ({
        name: String(name),
        description: (description as string | undefined) ?? null,
        schema: parametersJsonSchema ?? parameters,
      })),
    ),
    toolUse:
      calling.mode === 'NONE'
        ? 'none'
        : calling.mode !== 'ANY'
          ? 'auto'
          : allowed.length === 1
            ? { name: String(allowed[0]) }
            : 'required',
    format: isJson ? (schema === undefined ? 'json_object' : { schema }) : 'text',
    maxTokens: num(config.maxOutputTokens),
    temperature: num(config.temperature),
    topP: num(config.topP),
    stop: (config.stopSequences as string[] | undefined) ?? [],
    seed: num(config.seed),
    effort: recordOf(config.thinkingConfig).thinkingLevel ?? recordOf(config.thinkingConfig).thinkingBudget ?? null,
  });
}

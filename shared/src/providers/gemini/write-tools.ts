/** Tools and how they may be used -> `tools` and `toolConfig`. */
import type { ChatRequest } from '../../chat/request.ts';
import type { Json } from '../provider-json.ts';
import { type ToolNames, toolNamesOf } from '../tool-names.ts';
import { allowedTools, toolUse } from '../written-request.ts';
import { droppedKeywords, toKnownSchema } from './json-schema.ts';

export interface WrittenTools {
  readonly fields: Json;
  readonly warnings: readonly string[];
}

/** Under which names tools are declared, called and answered there: Gemini takes no digit and no dash first. */
export const toolNames = (request: ChatRequest): ToolNames => toolNamesOf(request, 'A-Za-z0-9_.:-');

export function writeTools(request: ChatRequest): WrittenTools {
  const { tools = [] } = request;
  const names = toolNames(request);
  if (tools.length === 0) return { fields: {}, warnings: [] };
  const dropped = new Set<string>();
  const functionDeclarations = tools.map(({ function: { name, description, parameters } }) => {
    const known = parameters && toKnownSchema(parameters);
    for (const keyword of known?.dropped ?? []) dropped.add(keyword);
    return {
      name: names.toTheirs(name),
      ...(description === undefined ? {} : { description }),
      ...(known ? { parametersJsonSchema: known.schema } : {}),
    };
  });
  return {
    fields: { tools: [{ functionDeclarations }], toolConfig: { functionCallingConfig: callingConfig(request, names) } },
    warnings: droppedKeywords(dropped, 'the schemas of tools'),
  };
}

/** `VALIDATED` is `AUTO` with arguments held to their schema: what `strict` asks for, and the one that takes names. */
function callingConfig(request: ChatRequest, { toTheirs }: ToolNames): Json {
  const use = toolUse(request);
  if (use.kind === 'named') return { mode: 'ANY', allowedFunctionNames: [toTheirs(use.name)] };
  if (use.kind === 'none') return { mode: 'NONE' };
  const isNarrowed = typeof request.tool_choice === 'object';
  const isStrict = request.tools?.some((each) => each.function.strict) ?? false;
  const allowed = isNarrowed
    ? { allowedFunctionNames: allowedTools(request).map((each) => toTheirs(each.function.name)) }
    : {};
  if (use.kind === 'required') return { mode: 'ANY', ...allowed };
  return { mode: isNarrowed || isStrict ? 'VALIDATED' : 'AUTO', ...allowed };
}

/**
 * Tools and how they may be used -> Anthropic's.
 *
 * Models that refuse to be forced are met half-way: where one tool alone can be meant, they answer with its arguments
 * as structured output, and the reader makes the call of it. What the caller sees is the call it asked for.
 */
import type { ChatRequest } from '../../chat/request.ts';
import type { Unsupported } from '../dialect.ts';
import { allowedTools, toolUse } from '../written-request.ts';
import { toEnforceable } from './json-schema.ts';
import { takesForcedTools } from './model-rules.ts';
import type { Block } from './write-messages.ts';

type Tool = NonNullable<ChatRequest['tools']>[number]['function'];

export type ToolPlan =
  /** `choice`: null, the request has no tools. */
  | { readonly kind: 'plain'; readonly choice: Block | null; readonly isForced: boolean }
  /** The answer's text is to be the arguments of this tool. */
  | { readonly kind: 'as_answer'; readonly tool: Tool };

export function planTools(request: ChatRequest, model: string): ToolPlan | Unsupported {
  const tools = allowedTools(request).map((each) => each.function);
  if (tools.length === 0) return { kind: 'plain', choice: null, isForced: false };
  const use = toolUse(request);
  if (use.kind === 'none') return { kind: 'plain', choice: { type: 'none' }, isForced: false };
  const once = request.parallel_tool_calls === false ? { disable_parallel_tool_use: true } : {};
  if (use.kind === 'auto') return { kind: 'plain', choice: { type: 'auto', ...once }, isForced: false };
  const meant = use.kind === 'named' ? tools.filter((each) => each.name === use.name) : tools;
  const verdict = takesForcedTools(model);
  const [only] = meant;
  if (verdict !== 'yes' && only && meant.length === 1) return { kind: 'as_answer', tool: only };
  if (verdict === 'no') return { kind: 'unsupported', feature: 'forced tool use' };
  const choice = use.kind === 'named' ? { type: 'tool', name: use.name, ...once } : { type: 'any', ...once };
  return { kind: 'plain', choice, isForced: true };
}

/** What a plan adds to the body, and what it changes on the way. */
export function writeTools(
  request: ChatRequest,
  plan: ToolPlan,
): { readonly body: Block; readonly warnings: string[] } {
  const warnings = new Set<string>();
  const tools = allowedTools(request).map(({ function: fn }) => {
    const input: Record<string, unknown> = { type: 'object', ...(fn.parameters ?? { properties: {} }) };
    const strict = fn.strict ? toEnforceable(input) : null;
    for (const each of strict?.warnings ?? []) warnings.add(each);
    return {
      name: fn.name,
      ...(fn.description === undefined ? {} : { description: fn.description }),
      input_schema: strict?.schema ?? input,
      ...(strict ? { strict: true } : {}),
    };
  });
  if (tools.length === 0) return { body: usedBefore(request), warnings: [] };
  const choice = plan.kind === 'plain' ? plan.choice : { type: 'none' };
  return { body: { tools, tool_choice: choice }, warnings: [...warnings] };
}

/** A conversation that holds calls is refused without their tools, although no more may be called. */
function usedBefore({ messages }: ChatRequest): Block {
  const names = messages.flatMap((message) =>
    message.role === 'assistant' ? (message.tool_calls ?? []).map((call) => call.function.name) : [],
  );
  if (names.length === 0) return {};
  const tools = [...new Set(names)].map((name) => ({ name, input_schema: { type: 'object', properties: {} } }));
  return { tools, tool_choice: { type: 'none' } };
}

/** Asks for the arguments of one tool as the whole answer. */
export function answerAsTool(tool: Tool) {
  const { schema, warnings } = toEnforceable({ type: 'object', ...(tool.parameters ?? { properties: {} }) });
  return {
    format: { type: 'json_schema', schema },
    instruction: `Use the tool "${tool.name}" now: answer with its arguments, as JSON and nothing else.`,
    warnings: [...warnings, 'asked for the arguments of the tool as the answer: this model cannot be made to call one'],
  };
}

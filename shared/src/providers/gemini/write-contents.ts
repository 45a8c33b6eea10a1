/** Messages -> `systemInstruction` and `contents`. Gemini knows two roles, and takes instructions at the beginning only. */
import { type ChatMessage, type ChatRequest, textOf } from '../../chat/request.ts';
import type { Unsupported } from '../dialect.ts';
import type { Json } from '../provider-json.ts';
import { parseArguments, toolNameOf } from '../tool-calls.ts';
import type { ToolNames } from '../tool-names.ts';
import { ownReasoning, spokenText } from '../written-request.ts';
import { signsCalls } from './model-version.ts';
import { readSignedPart, type SignedPart, splitText } from './signed-part.ts';
import { writeParts } from './write-parts.ts';
import { toolNames } from './write-tools.ts';

/** `results` are kept apart from what a user says: all of a turn's stand together, right after its calls. */
interface Content {
  readonly from: 'user' | 'model' | 'results';
  readonly parts: Json[];
}

export interface WrittenContents {
  readonly kind: 'contents';
  readonly fields: Json;
  readonly warnings: readonly string[];
}

/** The documented value for a call that another model made; the validator of signatures then lets it pass. */
export const foreignSignature = 'skip_thought_signature_validator';

export interface ContentsInput {
  readonly request: ChatRequest;
  readonly target: string;
  readonly model: string;
}

interface Context extends ContentsInput {
  readonly names: ToolNames;
  /** Each told once. */
  readonly warnings: Set<string>;
}

export function writeContents(input: ContentsInput): WrittenContents | Unsupported {
  const context: Context = { ...input, names: toolNames(input.request), warnings: new Set() };
  const { instructions, rest } = splitInstructions(input.request.messages, context);
  const contents: Content[] = [];
  let turn: ChatMessage | null = null;
  for (const message of rest) {
    if (message.role === 'assistant') turn = message;
    const written = writeMessage(message, turn, context);
    if (written.kind === 'unsupported') return written;
    const last = contents.at(-1);
    if (last?.from === written.content.from) last.parts.push(...written.content.parts);
    else if (written.content.parts.length > 0) contents.push(written.content);
  }
  if (contents[0]?.from !== 'user') {
    contents.unshift({ from: 'user', parts: [{ text: '(The conversation begins here.)' }] });
    context.warnings.add('put a user turn before the conversation: Gemini refuses one that begins with the model');
  }
  return {
    kind: 'contents',
    fields: {
      ...(instructions.length > 0 ? { systemInstruction: { parts: instructions } } : {}),
      contents: contents.map(({ from, parts }) => ({ role: from === 'model' ? 'model' : 'user', parts })),
    },
    warnings: [...context.warnings],
  };
}

const isInstruction = ({ role }: ChatMessage): boolean => role === 'system' || role === 'developer';

function splitInstructions(messages: readonly ChatMessage[], { warnings }: Context) {
  const found = messages.findIndex((message) => !isInstruction(message));
  const first = messages.slice(0, Math.max(0, found));
  const rest = messages.slice(first.length);
  if (found < 0) warnings.add('sent the instructions as a user turn: there is no other, and Gemini wants one');
  else if (rest.some(isInstruction))
    warnings.add('sent later instructions as user turns: Gemini takes the first alone');
  if (messages.some((message) => 'name' in message && message.name !== undefined))
    warnings.add('dropped "name" of messages: Gemini has no equivalent');
  const instructions = first.flatMap(({ content }) => {
    const written = writeParts(content);
    if (written.kind === 'unsupported') return [];
    for (const warning of written.warnings) warnings.add(warning);
    return written.parts;
  });
  return { instructions, rest };
}

type WrittenMessage = { readonly kind: 'content'; readonly content: Content } | Unsupported;

/** @param turn the last one of the model's, whose calls a result answers */
function writeMessage(message: ChatMessage, turn: ChatMessage | null, context: Context): WrittenMessage {
  const content = (from: Content['from'], parts: Json[]): WrittenMessage => ({
    kind: 'content',
    content: { from, parts },
  });
  if (message.role === 'assistant') return content('model', modelParts(message, context));
  const written = writeParts(message.content);
  if (written.kind === 'unsupported') return written;
  for (const warning of written.warnings) context.warnings.add(warning);
  if (message.role !== 'tool') return content('user', written.parts);
  const name = context.names.toTheirs(calledName(message.tool_call_id, turn, context.request.messages));
  const response = { output: textOf(message.content) };
  return content('results', [{ functionResponse: { id: message.tool_call_id, name, response } }]);
}

/** Ids of some servers begin anew with each turn, so that the turn before the result comes first. */
function calledName(id: string, turn: ChatMessage | null, messages: readonly ChatMessage[]): string {
  const name = toolNameOf(id, turn ? [turn] : []);
  return name === id ? toolNameOf(id, messages) : name;
}

type AssistantMessage = Extract<ChatMessage, { role: 'assistant' }>;

function modelParts(message: AssistantMessage, { target, model, names, warnings }: Context): Json[] {
  const signed = ownReasoning(message, target)
    .map(readSignedPart)
    .filter((part) => part !== null);
  const thoughts = signed.flatMap((part) =>
    part.type === 'thought' ? [{ text: part.text, thought: true, thoughtSignature: part.thought_signature }] : [],
  );
  const said = writeParts(message.content);
  if (said.kind === 'parts') for (const warning of said.warnings) warnings.add(warning);
  const calls = (message.tool_calls ?? []).map(({ id, function: call }) => ({
    functionCall: { id, name: names.toTheirs(call.name), args: parseArguments(call.arguments) },
    ...signatureOf(id, signed),
  }));
  const [first, ...further] = calls;
  const isForeign = first !== undefined && !('thoughtSignature' in first) && signsCalls(model);
  if (isForeign) warnings.add('asked not to check the signature of tool calls that have none');
  return [
    ...thoughts,
    ...splitText(spokenText(message), signed),
    ...(isForeign ? [{ ...first, thoughtSignature: foreignSignature }, ...further] : calls),
  ];
}

const signatureOf = (id: string, signed: readonly SignedPart[]): Json => {
  const found = signed.find((part) => part.type === 'tool_call' && part.tool_call_id === id);
  return found ? { thoughtSignature: found.thought_signature } : {};
};

/**
 * The history of a conversation, in front of the new messages of a job.
 *
 * A history is canonical: it belongs to no provider, so that every turn may be answered by another one. What it holds
 * is what was said in the turns that succeeded, and each target is given as much of it as fits its window.
 */
import { z } from 'zod';
import { type ChatMessage, type ChatRequest, chatRequestSchema, outputLimitOf } from './request.ts';
import { assumedOutputTokens, estimateInputTokens } from './tokens.ts';

/** One job of a conversation that succeeded. */
export interface Turn {
  /** JSON text of the stored canonical request: of this job's own messages, without the history it was sent with. */
  readonly request: string;
  /** JSON text of the stored canonical answer. */
  readonly output: string;
  /** The target that answered. */
  readonly target: string;
}

export interface Fit {
  /** Where the request goes. */
  readonly target: string;
  /** The context window there; null: unknown, nothing is trimmed. */
  readonly windowTokens: number | null;
}

export interface WithHistory {
  readonly request: ChatRequest;
  /** How many turns were left out: trimmed, or not readable. */
  readonly dropped: number;
}

type Assistant = Extract<ChatMessage, { role: 'assistant' }>;
type ToolCall = NonNullable<Assistant['tool_calls']>[number];
/** The messages of a turn; null: it cannot be read. */
type Said = readonly ChatMessage[] | null;

/**
 * The request as it goes to a target: instructions, history, then the new messages. Throws nothing; mutates nothing.
 *
 * The request holds the parameters of the target already, because the bound of the answer is one of them.
 *
 * - Instructions (system and developer messages) come first and are never trimmed: those of the new request, or if it
 *   has none, those of the latest turn that had any.
 * - A turn is kept or left out whole. Tool calls and their results are never parted: a turn that brings results is
 *   kept or left out together with the turn whose calls they answer, and turns that the new messages answer are kept.
 * - The oldest turns are left out until the estimate of the whole request and the bound of its answer (1,000 tokens
 *   without one) fit the window. What must stay is sent even where it does not fit: the provider then says so.
 * - Reasoning that is bound to the target which made it goes back to that target only. Its text stays.
 * - A turn that cannot be read is left out. So is a call that nobody answered and a result whose call is not there:
 *   providers refuse both.
 * - All but the messages is the new request's own, its tools above all. Without a history it goes as it is.
 *
 * @param turns from the oldest to the newest
 */
export function withHistory(request: ChatRequest, turns: readonly Turn[], fit: Fit): WithHistory {
  const read = turns.map((turn) => readTurn(turn, fit.target));
  const instructions = instructionsOf([...read, request.messages]);
  const fresh = request.messages.filter((message) => !isInstruction(message));
  const history = read.map((said) => said?.filter((message) => !isInstruction(message)) ?? null);
  const { answered, matched, boundTo } = pairUp([...history, fresh]);
  const whole = history.map((said) => said?.flatMap((message) => paired(message, answered, matched)) ?? null);
  const room = roomFor({ ...request, messages: [...instructions, ...fresh] }, fit);
  const kept = whole.slice(room === null ? 0 : firstKept(whole, boundTo, room)).filter((said) => said !== null);
  const dropped = turns.length - kept.length;
  const isInherited = instructions.length > 0 && !request.messages.some(isInstruction);
  if (kept.length === 0 && !isInherited) return { request, dropped };
  return { request: { ...request, messages: [...instructions, ...kept.flat(), ...fresh] }, dropped };
}

const isInstruction = ({ role }: ChatMessage): boolean => role === 'system' || role === 'developer';

const instructionsOf = (each: readonly Said[]): readonly ChatMessage[] =>
  each.findLast((said) => said?.some(isInstruction))?.filter(isInstruction) ?? [];

const storedRequest = z.object({ messages: chatRequestSchema.shape.messages });

const storedMessage = z.object({
  content: z.string().nullish(),
  refusal: z.string().nullish(),
  tool_calls: z
    .array(
      z.object({
        id: z.string(),
        type: z.literal('function'),
        function: z.object({ name: z.string(), arguments: z.string() }),
      }),
    )
    .nullish(),
  reasoning_content: z.string().nullish(),
  reasoning_details: z.array(z.object({ origin: z.string(), part: z.unknown() })).nullish(),
});

/** Of several choices the first is what was said; the others may hold anything. */
const storedOutput = z.object({ choices: z.tuple([z.object({ message: storedMessage })]).rest(z.unknown()) });

function readTurn({ request, output, target }: Turn, to: string): Said {
  const asked = storedRequest.safeParse(parsed(request));
  const answer = storedOutput.safeParse(parsed(output));
  if (!asked.success || !answer.success) return null;
  const messages = asked.data.messages.map((message) =>
    message.role === 'assistant' ? withoutForeign(message, to) : message,
  );
  const said = toAssistant(answer.data.choices[0].message);
  return [...messages, withoutForeign(said, target === to ? to : null)];
}

/** undefined, which no schema here takes, for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toAssistant(message: z.infer<typeof storedMessage>): Assistant {
  const { content, refusal, tool_calls: calls, reasoning_content: reasoning, reasoning_details: details } = message;
  const hasCalls = calls !== null && calls !== undefined && calls.length > 0;
  return {
    role: 'assistant',
    content: content ?? (hasCalls ? null : ''),
    ...(refusal ? { refusal } : {}),
    ...(hasCalls ? { tool_calls: calls } : {}),
    ...(reasoning ? { reasoning_content: reasoning } : {}),
    ...(details ? { reasoning_details: details } : {}),
  };
}

/** @param target whose reasoning stays; null: nobody's */
function withoutForeign(message: Assistant, target: string | null): Assistant {
  const { reasoning_details: details, ...rest } = message;
  const own = (details ?? []).filter(({ origin }) => origin === target);
  // Signed reasoning that led to nothing is refused.
  return own.length === 0 || isSilent(message) ? rest : { ...rest, reasoning_details: own };
}

/** Nothing said and nothing called, whatever was thought. */
function isSilent({ content, refusal, tool_calls: calls }: Assistant): boolean {
  const parts = Array.isArray(content) ? content : [{ type: 'text' as const, text: content ?? '' }];
  const said = parts.map((part) => (part.type === 'text' ? part.text : part.refusal)).join('');
  return said.trim() === '' && !refusal && !calls;
}

interface Pairs {
  /** Calls that have a result. */
  readonly answered: ReadonlySet<ToolCall>;
  /** Results that have a call. */
  readonly matched: ReadonlySet<ChatMessage>;
  /** Of each turn, the earliest one whose calls it answers; itself when it answers none of another. */
  readonly boundTo: readonly number[];
}

/** Ids may begin anew with each turn, so that a result belongs to the latest call of its id. */
function pairUp(turns: readonly Said[]): Pairs {
  const latest = new Map<string, { readonly call: ToolCall; readonly turn: number }>();
  const answered = new Set<ToolCall>();
  const matched = new Set<ChatMessage>();
  const boundTo = turns.map((said, turn) => {
    // Results that follow an unreadable turn are of its calls, not of older ones.
    if (said === null) latest.clear();
    let earliest = turn;
    for (const message of said ?? []) {
      if (message.role === 'assistant')
        for (const call of message.tool_calls ?? []) latest.set(call.id, { call, turn });
      const found = message.role === 'tool' ? latest.get(message.tool_call_id) : undefined;
      if (!found) continue;
      answered.add(found.call);
      matched.add(message);
      earliest = Math.min(earliest, found.turn);
    }
    return earliest;
  });
  return { answered, matched, boundTo };
}

/** A message of the history without what lacks its other half; none, when nothing is left of it. */
function paired(message: ChatMessage, answered: Pairs['answered'], matched: Pairs['matched']): ChatMessage[] {
  if (message.role === 'tool') return matched.has(message) ? [message] : [];
  if (message.role !== 'assistant' || !message.tool_calls) return [message];
  const { tool_calls: calls, ...rest } = message;
  const kept = calls.filter((call) => answered.has(call));
  if (kept.length > 0) return [{ ...rest, tool_calls: kept }];
  return isSilent(rest) ? [] : [rest];
}

/** What the window leaves to the history; null: no bound is known. */
function roomFor(request: ChatRequest, { windowTokens }: Fit): number | null {
  if (windowTokens === null) return null;
  return windowTokens - (outputLimitOf(request) ?? assumedOutputTokens) - Math.ceil(estimateInputTokens(request));
}

/**
 * The first turn of those that stay. Goes from the newest to the oldest, so that each is estimated once at most.
 *
 * @param boundTo of each turn, and last of the new messages
 */
function firstKept(history: readonly Said[], boundTo: readonly number[], room: number): number {
  // What the new messages answer stays, whatever it takes.
  let start = startOfBound(boundTo, history.length);
  let left = room - tokensOf(history.slice(start));
  while (start > 0) {
    const next = startOfBound(boundTo, start - 1);
    left -= tokensOf(history.slice(next, start));
    if (left < 0) break;
    start = next;
  }
  return start;
}

/** Where the turns begin that belong together with this one. */
function startOfBound(boundTo: readonly number[], turn: number): number {
  let start = turn;
  for (let index = turn; index >= start; index -= 1) start = Math.min(start, boundTo[index] ?? index);
  return start;
}

function tokensOf(turns: readonly Said[]): number {
  const messages = turns.flatMap((said) => said ?? []);
  return Math.ceil(estimateInputTokens({ model: '', messages }));
}

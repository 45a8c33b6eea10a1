/** Conversations of random turns: with calls and results over several of them, other targets, and faults in the store. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Turn, withHistory } from './conversation.ts';
import { type ChatMessage, type ChatRequest, chatRequestSchema, outputLimitOf } from './request.ts';
import { emptyAnswer, toChatCompletion } from './response.ts';
import { assumedOutputTokens, estimateInputTokens } from './tokens.ts';

const here = 'anthropic/claude-haiku-4-5';
const elsewhere = 'openai/gpt-4.1-mini';

const system = (content: string): ChatMessage => ({ role: 'system', content });
const call = (id: string) => ({ id, type: 'function' as const, function: { name: 'weather', arguments: '{}' } });
const requestOf = (messages: readonly ChatMessage[], change: object = {}): ChatRequest =>
  chatRequestSchema.parse({ model: 'default', messages, ...change });
const totalOf = (request: ChatRequest): number =>
  estimateInputTokens(request) + (outputLimitOf(request) ?? assumedOutputTokens);

interface Step {
  readonly words: number;
  readonly instructs: boolean;
  readonly calls: number;
  /** Whether it answers the calls before it, of which the first may be left open. */
  readonly answers: 'all' | 'some' | 'none';
  readonly isReadable: boolean;
  readonly isElsewhere: boolean;
}
const step: fc.Arbitrary<Step> = fc.record({
  words: fc.integer({ min: 0, max: 60 }),
  instructs: fc.boolean(),
  calls: fc.constantFrom(0, 0, 1, 2),
  answers: fc.constantFrom('all', 'all', 'some', 'none'),
  isReadable: fc.constantFrom(true, true, true, true, false),
  isElsewhere: fc.boolean(),
});
const script = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 12 }),
  /** Ids that begin anew with each turn, as some servers give them. */
  hasShortIds: fc.boolean(),
  windowTokens: fc.integer({ min: 1_000, max: 2_500 }),
  limit: fc.option(fc.integer({ min: 1, max: 500 })),
});
type Script = typeof script extends fc.Arbitrary<infer Value> ? Value : never;

/** The last step is the new request. Every message says which turn it is of. */
function play({ steps, hasShortIds, limit }: Script) {
  const idOf = (at: number, n: number) => (hasShortIds ? `call_${n}` : `call_${at}_${n}`);
  const messagesOf = (at: number): ChatMessage[] => {
    const { words, instructs, answers } = steps[at] as Step;
    const open = Array.from({ length: steps[at - 1]?.calls ?? 0 }, (_, n) => idOf(at - 1, n));
    const results = answers === 'none' ? [] : open.slice(answers === 'all' ? 0 : 1);
    return [
      ...(instructs ? [system(`rule ${at}`)] : []),
      ...results.map((id): ChatMessage => ({ role: 'tool', tool_call_id: id, content: `turn ${at}` })),
      { role: 'user', content: `turn ${at} ${'word '.repeat(words)}` },
    ];
  };
  const turns = steps.slice(0, -1).map(({ calls, isReadable, isElsewhere }, at): Turn => {
    const toolCalls = Array.from({ length: calls }, (_, n) => call(idOf(at, n)));
    const target = isElsewhere ? elsewhere : here;
    const answer = { ...emptyAnswer, text: `turn ${at}`, toolCalls };
    const output = JSON.stringify(toChatCompletion(answer, { jobId: 'job_0199', target, createdAtMs: 0 }));
    return {
      request: JSON.stringify(requestOf(messagesOf(at))),
      output: isReadable ? output : output.slice(1),
      target,
    };
  });
  return { turns, request: requestOf(messagesOf(steps.length - 1), { max_tokens: limit }) };
}

const isInstruction = ({ role }: ChatMessage) => role === 'system' || role === 'developer';
const turnOf = (message: ChatMessage): number => Number(/^turn (\d+)/.exec(String(message.content))?.[1]);

const check = (claim: (run: Script & ReturnType<typeof play> & ReturnType<typeof fitted>) => void) =>
  fc.assert(
    fc.property(script, (given) => {
      const played = play(given);
      claim({ ...given, ...played, ...fitted(played, given.windowTokens) });
    }),
  );
function fitted({ request, turns }: ReturnType<typeof play>, windowTokens: number) {
  const { request: whole, dropped } = withHistory(request, turns, { target: here, windowTokens });
  const fresh = request.messages.filter((message) => !isInstruction(message));
  return {
    whole,
    dropped,
    fresh,
    history: whole.messages.filter((each) => !isInstruction(each)).slice(0, -fresh.length),
  };
}

test('the whole fits when what must stay fits', () => {
  check(({ whole, request, turns, windowTokens }) => {
    const least = totalOf(withHistory(request, turns, { target: here, windowTokens: 1 }).request);
    expect(totalOf(whole)).toBeLessThanOrEqual(Math.max(least, windowTokens));
    const answersNothing = request.messages.every(({ role }) => role !== 'tool');
    const first = whole.messages.filter(isInstruction);
    const alone = { ...request, messages: [...first, ...request.messages.filter((each) => !isInstruction(each))] };
    if (answersNothing) expect(least).toBe(totalOf(alone));
  });
});

test('no turn is left out that would have fitted', () => {
  check(({ whole, dropped, request, turns }) => {
    const exactly = { target: here, windowTokens: totalOf(whole) };
    expect(withHistory(request, turns, exactly)).toEqual({ request: whole, dropped });
  });
});

test('the turns that stay are the last of those that can be read, whole and in order', () => {
  check(({ steps, turns, dropped, history }) => {
    const order = history.map(turnOf);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    const readable = turns.flatMap((_, at) => (steps[at]?.isReadable ? [at] : []));
    const kept = [...new Set(order)];
    expect(kept).toEqual(readable.slice(readable.length - kept.length));
    expect(dropped).toBe(turns.length - kept.length);
    for (const at of kept) {
      const roles = history.filter((message) => turnOf(message) === at).map(({ role }) => role);
      expect(roles.filter((role) => role !== 'tool')).toEqual(['user', 'assistant']);
    }
  });
});

test('every result in the history has its call before it, and every call its result', () => {
  check(({ whole, history }) => {
    const open = new Set<string>();
    for (const [index, message] of whole.messages.filter((each) => !isInstruction(each)).entries()) {
      const isNew = index >= history.length;
      if (message.role === 'tool' && !isNew) expect(open).toContain(message.tool_call_id);
      if (message.role === 'tool') open.delete(message.tool_call_id);
      if (message.role !== 'assistant') continue;
      for (const { id } of message.tool_calls ?? []) {
        expect(open).not.toContain(id);
        open.add(id);
      }
    }
    expect([...open]).toEqual([]);
  });
});

test('results among the new messages find their call, unless its turn cannot be read', () => {
  check(({ steps, fresh, history }) => {
    const calls = history.flatMap((message) => (message.role === 'assistant' ? (message.tool_calls ?? []) : []));
    const isBefore = steps.at(-2)?.isReadable === true;
    for (const message of fresh)
      if (message.role === 'tool' && isBefore) expect(calls.map(({ id }) => id)).toContain(message.tool_call_id);
  });
});

test('the new messages are the last, untouched, and what was given is not changed', () => {
  check(({ whole, fresh, request, turns, windowTokens }) => {
    expect(whole.messages.slice(-fresh.length)).toEqual(fresh);
    const before = structuredClone({ request, turns });
    withHistory(request, turns, { target: here, windowTokens });
    expect({ request, turns }).toEqual(before);
  });
});

test('the instructions are those of the latest turn that had any', () => {
  check(({ steps, whole }) => {
    const latest = steps.findLastIndex(
      ({ instructs, isReadable }, at) => instructs && (isReadable || at === steps.length - 1),
    );
    const expected = latest < 0 ? [] : [system(`rule ${latest}`)];
    expect(whole.messages.filter(isInstruction)).toEqual(expected);
    expect(whole.messages.slice(0, expected.length)).toEqual(expected);
  });
});

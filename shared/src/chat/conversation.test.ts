import { describe, expect, test } from 'vitest';
import { type Turn, withHistory } from './conversation.ts';
import { type ChatMessage, type ChatRequest, chatRequestSchema, outputLimitOf } from './request.ts';
import { type Answer, emptyAnswer, toChatCompletion } from './response.ts';
import { assumedOutputTokens, estimateInputTokens } from './tokens.ts';

const here = 'anthropic/claude-haiku-4-5';
const elsewhere = 'openai/gpt-4.1-mini';

const user = (content: string): ChatMessage => ({ role: 'user', content });
const system = (content: string): ChatMessage => ({ role: 'system', content });
const said = (content: string): Extract<ChatMessage, { role: 'assistant' }> => ({ role: 'assistant', content });
const result = (id: string, content = '20°'): ChatMessage => ({ role: 'tool', tool_call_id: id, content });
const call = (id: string) => ({ id, type: 'function' as const, function: { name: 'weather', arguments: '{}' } });
const calling = (...ids: string[]): ChatMessage => ({
  ...{ role: 'assistant', content: null, tool_calls: ids.map(call) },
});

const requestOf = (messages: readonly ChatMessage[], change: object = {}): ChatRequest =>
  chatRequestSchema.parse({ model: 'default', messages, ...change });

/** A turn as it is stored. */
function turn(messages: readonly ChatMessage[], answer: string | Partial<Answer>, target = here): Turn {
  const whole = { ...emptyAnswer, ...(typeof answer === 'string' ? { text: answer } : answer) };
  const completion = toChatCompletion(whole, { jobId: 'job_0199', target, createdAtMs: 0 });
  return { request: JSON.stringify(requestOf(messages)), output: JSON.stringify(completion), target };
}
const unreadable: Turn = { request: '{"messages":[', output: '', target: here };

const totalOf = (request: ChatRequest): number =>
  estimateInputTokens(request) + (outputLimitOf(request) ?? assumedOutputTokens);

function sent(messages: readonly ChatMessage[], turns: readonly Turn[], windowTokens: number | null = null) {
  const { request, dropped } = withHistory(requestOf(messages), turns, { target: here, windowTokens });
  return { messages: request.messages, dropped };
}

const hello = turn([user('Hello')], 'Hi.');
const river = turn([user('Name a river.')], 'The Rhine.', elsewhere);

describe('the messages that are sent', () => {
  test('are the turns in their order, then the new ones', () => {
    expect(sent([user('How long is it?')], [hello, river])).toEqual({
      messages: [user('Hello'), said('Hi.'), user('Name a river.'), said('The Rhine.'), user('How long is it?')],
      dropped: 0,
    });
  });

  test('are those of the request, as it is, when there is no history', () => {
    const request = requestOf([user('Hello'), system('Be brief.')]);
    expect(withHistory(request, [], { target: here, windowTokens: 1 })).toEqual({ request, dropped: 0 });
  });

  test('bring the rest of the request as it is, and none of the tools of earlier turns', () => {
    const weather = { tools: [{ type: 'function', function: { name: 'weather' } }], temperature: 0 };
    const earlier = { ...hello, request: JSON.stringify(requestOf([user('Hello')], weather)) };
    const time = { tools: [{ type: 'function' as const, function: { name: 'time' } }], seed: 7 };
    const fit = { target: here, windowTokens: null };
    expect(withHistory(requestOf([user('More')], time), [earlier], fit).request).toEqual({
      ...{ model: 'default', ...time },
      messages: [user('Hello'), said('Hi.'), user('More')],
    });
    expect(withHistory(requestOf([user('More')]), [earlier], fit).request).not.toHaveProperty('tools');
  });
});

describe('instructions', () => {
  const brief = turn([system('Be brief.'), user('Hello')], 'Hi.');
  const developer: ChatMessage = { role: 'developer', content: 'Answer in French.' };

  test.for<[string, ChatMessage[], Turn[], ChatMessage[]]>([
    ['of an earlier turn are kept, first', [user('More')], [hello, brief, river], [system('Be brief.')]],
    [
      'of the latest turn that had any are kept, and no older ones',
      [user('More')],
      [brief, turn([system('Be kind.'), user('Hello'), developer], 'Salut.'), hello],
      [system('Be kind.'), developer],
    ],
    ['of the new request replace them', [system('Be kind.'), user('More')], [brief], [system('Be kind.')]],
    ['of the new request come first, wherever they stand', [user('More'), developer], [brief], [developer]],
  ])('%s', ([, messages, turns, expected]) => {
    const instructions = sent(messages, turns).messages.filter(({ role }) => role === 'system' || role === 'developer');
    expect(instructions).toEqual(expected);
    expect(sent(messages, turns).messages.slice(0, expected.length)).toEqual(expected);
  });

  test('of a turn that was trimmed stay', () => {
    expect(sent([user('More')], [brief, hello], 1)).toEqual({
      messages: [system('Be brief.'), user('More')],
      dropped: 2,
    });
  });

  test('count towards the window', () => {
    const turns = [turn([system('Be brief.'), user('Hello')], 'Hi.'), hello];
    const all = totalOf(requestOf(sent([user('More')], turns).messages));
    expect(sent([user('More')], turns, all).dropped).toBe(0);
    expect(sent([user('More')], turns, all - 1).dropped).toBe(1);
  });
});

describe('trimming', () => {
  const turns = [hello, river, turn([user('And a lake?')], 'Lake Constance.')];
  const more = [user('More')];

  test('leaves out the oldest turns, whole, until the rest fits', () => {
    const lastTwo = totalOf(requestOf(sent(more, turns.slice(1)).messages));
    expect(sent(more, turns, lastTwo)).toEqual({ messages: sent(more, turns.slice(1)).messages, dropped: 1 });
    expect(sent(more, turns, lastTwo - 1)).toEqual({ messages: sent(more, turns.slice(2)).messages, dropped: 2 });
  });

  test('leaves nothing of the history when the new messages alone do not fit', () => {
    expect(sent(more, turns, 10)).toEqual({ messages: more, dropped: 3 });
  });

  test('leaves out nothing when the window is not known', () => {
    const long = turn([user('word '.repeat(100_000))], 'Hi.');
    expect(sent(more, [long, long], null).dropped).toBe(0);
  });

  test.for<[string, object, number]>([
    ['the bound of the answer', { max_tokens: 300 }, 300],
    ['its newer name', { max_completion_tokens: 50 }, 50],
    ['1,000 tokens without a bound', {}, 1_000],
  ])('keeps room for %s', ([, change, tokens]) => {
    const request = requestOf(more, change);
    const input = estimateInputTokens(withHistory(request, turns, { target: here, windowTokens: null }).request);
    const droppedAt = (windowTokens: number) => withHistory(request, turns, { target: here, windowTokens }).dropped;
    expect(droppedAt(input + tokens)).toBe(0);
    expect(droppedAt(input + tokens - 1)).toBe(1);
  });

  test('counts the tools of the new request', () => {
    const tools = [{ type: 'function', function: { name: 'weather', description: 'word '.repeat(50) } }];
    const windowTokens = totalOf(withHistory(requestOf(more), turns, { target: here, windowTokens: null }).request);
    expect(withHistory(requestOf(more, { tools }), turns, { target: here, windowTokens }).dropped).toBeGreaterThan(0);
  });
});

describe('tool calls', () => {
  const asks = turn([user('Weather in Rome?')], { toolCalls: [call('a')], finishReason: 'tool_calls' });
  const again = turn([result('a')], { toolCalls: [call('b')], finishReason: 'tool_calls' });
  const ends = turn([result('b')], 'Warm.');

  test('and their results go or stay together, over as many turns as they take', () => {
    const history = [user('Weather in Rome?'), calling('a'), result('a'), calling('b'), result('b'), said('Warm.')];
    const all = totalOf(requestOf([...history, user('More')]));
    expect(sent([user('More')], [asks, again, ends], all)).toEqual({
      messages: [...history, user('More')],
      dropped: 0,
    });
    expect(sent([user('More')], [asks, again, ends], all - 1)).toEqual({ messages: [user('More')], dropped: 3 });
  });

  test('that the new messages answer stay even where they do not fit', () => {
    expect(sent([result('b')], [hello, asks, again], 1)).toEqual({
      messages: [user('Weather in Rome?'), calling('a'), result('a'), calling('b'), result('b')],
      dropped: 1,
    });
  });

  test('of one id in two turns are told apart: a result belongs to the latest', () => {
    const [first, second] = [hello, river].map(() => [
      turn([user('Weather?')], { toolCalls: [call('call_0')] }),
      turn([result('call_0')], 'Warm.'),
    ]) as [Turn[], Turn[]];
    const one = totalOf(requestOf(sent([user('More')], first).messages));
    expect(sent([user('More')], [...first, ...second], one).dropped).toBe(2);
  });

  test.for<[string, ChatMessage[], Turn[], ChatMessage[]]>([
    [
      'that nobody answered are left out, and what was said with them stays',
      [user('Never mind.')],
      [turn([user('Weather?')], { text: 'I will look.', toolCalls: [call('a')] })],
      [user('Weather?'), said('I will look.'), user('Never mind.')],
    ],
    ['that nobody answered leave no empty message', [user('No.')], [asks], [user('Weather in Rome?'), user('No.')]],
    [
      'are left out one by one',
      [result('b'), user('More')],
      [turn([user('Weather?')], { toolCalls: [call('a'), call('b')] })],
      [user('Weather?'), calling('b'), result('b'), user('More')],
    ],
    [
      'answered in a turn that cannot be read are left out, and so are results of its calls',
      [user('More')],
      [asks, unreadable, turn([result('a'), user('So?')], 'Warm.')],
      [user('Weather in Rome?'), user('So?'), said('Warm.'), user('More')],
    ],
    [
      'inside one request stay',
      [user('More')],
      [turn([user('Weather?'), calling('a'), result('a')], 'Warm.')],
      [user('Weather?'), calling('a'), result('a'), said('Warm.'), user('More')],
    ],
  ])('%s', ([, messages, turns, expected]) => {
    expect(sent(messages, turns).messages).toEqual(expected);
  });

  test('of the new messages are never touched', () => {
    expect(sent([result('x'), user('More')], [hello]).messages.slice(-2)).toEqual([result('x'), user('More')]);
  });
});

describe('what was answered', () => {
  const answered = (answer: Partial<Answer>, target = here) =>
    sent([user('More')], [turn([user('Hello')], answer, target)]).messages[1];
  const thought = { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' };
  const details = [{ origin: here, part: thought }];

  test.for<[string, Partial<Answer>, ChatMessage]>([
    ['is the first of several choices', { text: 'Hi.', otherChoices: [{ odd: true }] }, said('Hi.')],
    ['may be a refusal', { refusal: 'No.', finishReason: 'content_filter' }, { ...said(''), refusal: 'No.' }],
    ['may be empty', { finishReason: 'length' }, said('')],
    ['keeps its reasoning as text', { text: 'Hi.', reasoning: 'Hm.' }, { ...said('Hi.'), reasoning_content: 'Hm.' }],
    [
      'keeps the reasoning that its target made',
      { text: 'Hi.', reasoningDetails: [thought] },
      { ...said('Hi.'), reasoning_details: details },
    ],
    [
      'keeps it beside a refusal',
      { refusal: 'No.', reasoningDetails: [thought] },
      { ...said(''), refusal: 'No.', reasoning_details: details },
    ],
    ['has no signed reasoning that led to nothing', { reasoningDetails: [thought], finishReason: 'length' }, said('')],
  ])('%s', ([, answer, expected]) => {
    expect(answered(answer)).toEqual(expected);
  });

  test('loses what is bound to its target on the way to another one, and nothing else', () => {
    const answer = { text: 'Hi.', reasoning: 'Hm.', reasoningDetails: [thought] };
    expect(answered(answer, elsewhere)).toEqual({ ...said('Hi.'), reasoning_content: 'Hm.' });
  });

  test('is of the target that the turn names, whatever the answer says of itself', () => {
    const made = turn([user('Hello')], { text: 'Hi.', reasoningDetails: [thought] });
    expect(sent([user('More')], [{ ...made, target: elsewhere }]).messages[1]).toEqual(said('Hi.'));
  });

  test('loses it in the messages of earlier requests too, by the target that is named there', () => {
    const both = [...details, { origin: elsewhere, part: 'opaque' }];
    const replayed = turn([user('Hello'), { ...said('Hi.'), reasoning_details: both }, user('So?')], 'Yes.');
    expect(sent([user('More')], [replayed]).messages[1]).toEqual({ ...said('Hi.'), reasoning_details: details });
  });

  test('is not changed in the new messages: their dialect tells what it leaves out', () => {
    const foreign = { ...said('Hi.'), reasoning_details: [{ origin: elsewhere, part: 'opaque' }] };
    expect(sent([foreign, user('More')], [hello]).messages.slice(-2)).toEqual([foreign, user('More')]);
  });
});

test.for<[string, Partial<Turn>]>([
  ['a request that is no JSON', { request: '{"messages":[' }],
  ['a request without messages', { request: '{"model":"default","input":["text"]}' }],
  ['a request with a message of no known form', { request: '{"messages":[{"role":"user","content":5}]}' }],
  ['an answer that is no JSON', { output: '' }],
  ['an answer without choices', { output: '{"choices":[]}' }],
  ['an answer that is no completion', { output: '{"object":"list","data":[]}' }],
])('a turn with %s is left out and counted', ([, change]) => {
  expect(sent([user('More')], [hello, { ...hello, ...change }, river])).toEqual({
    messages: [...sent([user('More')], [hello, river]).messages],
    dropped: 1,
  });
});

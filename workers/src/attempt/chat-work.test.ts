import { type ChatRequest, chatRequestSchema } from '@waybill/shared/chat/request.ts';
import { type Answer, emptyAnswer } from '@waybill/shared/chat/response.ts';
import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import type { ChainSettings } from '@waybill/shared/config/settings.ts';
import { type Usage, usageSchema } from '@waybill/shared/domain/usage.ts';
import { type CallInput, type Dialect, failure, type ReadResult } from '@waybill/shared/providers/dialect.ts';
import { plainQuirks } from '@waybill/shared/providers/quirks.ts';
import { expect, test } from 'vitest';
import type { Carried } from './carried.ts';
import { type ChatWorkInput, createChatWork } from './chat-work.ts';
import type { Delivery, WireInput } from './delivery.ts';

const usageOf = (inputTokens: number, outputTokens: number): Usage => usageSchema.parse({ inputTokens, outputTokens });
const answer: Answer = { ...emptyAnswer, text: 'hello', model: 'm-1', usage: usageOf(3, 2) };
const plain: ChatRequest = chatRequestSchema.parse({ model: 'm', messages: [{ role: 'user', content: 'hi' }] });
const base: ChatWorkInput = {
  target: 'p/m',
  chain: chainOfTarget('p/m'),
  carried: null,
  turns: [],
  windowTokens: null,
  defaults: {},
  uselessAnswers: 0,
};
const wire: WireInput = {
  model: 'm',
  endpoint: 'http://p',
  credential: null,
  apiVersion: null,
  quirks: plainQuirks,
  target: 'p/m',
  contextWindow: null,
  nowMs: 0,
};

/** What the dialect was asked for, and what becomes of the answer it read. */
function play(request: ChatRequest, input: Partial<ChatWorkInput>, read: ReadResult) {
  const asked: CallInput[] = [];
  const dialect = {
    writeChat(call: CallInput) {
      asked.push(call);
      const pieces = { push: () => undefined, end: () => read, partial: () => answer };
      const reader = { readAnswer: () => read, createStreamReader: () => pieces };
      return { kind: 'request', http: { url: '', headers: {}, body: '', warnings: [] }, reader };
    },
  } as unknown as Dialect;
  const work = createChatWork(request, { ...base, ...input });
  const written = work.write(dialect, wire);
  const [call] = asked;
  if (written.kind !== 'request' || !call) throw new Error('nothing was written');
  return { work, call, reader: written.reader };
}

function deliver(whole: Partial<Answer>, input: Partial<ChatWorkInput> = {}, request = plain): Delivery {
  const { reader } = play(request, input, { kind: 'answer', answer: { ...answer, ...whole } });
  const result = reader.readAnswer(null);
  if (result.kind !== 'answer') throw new Error('no answer');
  return result.answer;
}
const outputOf = (delivery: Delivery) => JSON.parse(delivery.output({ jobId: 'job_1', createdAtMs: 5_000 }));

test('an answer is delivered with what it used, and is the output as it is read', () => {
  const delivery = deliver({});
  expect(delivery).toMatchObject({ model: 'm-1', usage: usageOf(3, 2), fault: null, carried: null });
  expect(outputOf(delivery)).toMatchObject({
    id: 'chatcmpl-1',
    created: 5,
    model: 'm-1',
    choices: [{ message: { content: 'hello' }, finish_reason: 'stop' }],
  });
});

test('a feature that the dialect does not have is not written', () => {
  const dialect = { writeChat: () => ({ kind: 'unsupported', feature: 'tools' }) } as unknown as Dialect;
  expect(createChatWork(plain, base).write(dialect, wire)).toEqual({ kind: 'unsupported', feature: 'tools' });
});

test.for<[string, Partial<ChatRequest>, boolean]>([
  ['a request without a limit', {}, false],
  ['a short answer', { max_tokens: 4_096 }, false],
  ['an answer that may be long', { max_tokens: 4_097 }, true],
  ['a long one of several choices', { max_tokens: 9_000, n: 2 }, false],
  ['a long one with log probabilities', { max_tokens: 9_000, logprobs: true }, false],
])('%s is streamed from the provider: %s', ([, more, isStreamed]) => {
  const { work, call } = play({ ...plain, ...more }, {}, { kind: 'answer', answer });
  expect(work.isStreamed).toBe(isStreamed);
  expect(call.stream).toBe(isStreamed);
});

test('what the model, then the chain, adds to the request is sent', () => {
  const chain: ChainSettings = { ...base.chain, params: { 'p/m': { max_tokens: 8_000 } } };
  const { work, call } = play(plain, { chain, defaults: { temperature: 0.2 } }, { kind: 'answer', answer });
  expect(call.request).toMatchObject({ max_tokens: 8_000, temperature: 0.2 });
  expect(work.isStreamed).toBe(true);
});

test.for([
  ['the first time', 0, 7],
  ['after two useless answers', 2, 9],
] as const)('a request with a seed is sent %s with one of its own', ([, uselessAnswers, seed]) => {
  const { call } = play({ ...plain, seed: 7 }, { uselessAnswers }, { kind: 'answer', answer });
  expect(call.request.seed).toBe(seed);
});

const text: Carried = { kind: 'text', text: 'once upon ', usage: usageOf(10, 4), rounds: 1 };
const continuation: Carried = {
  kind: 'continuation',
  target: 'p/m',
  state: ['a block'],
  text: 'once ',
  reasoning: 'why ',
  reasoningDetails: ['r1'],
  toolCalls: [],
  usage: usageOf(10, 4),
  rounds: 1,
};

test('a text is gone on from: the model reads it as its own turn, and the answer is both', () => {
  const { call } = play(plain, { carried: text, target: 'q/m' }, { kind: 'answer', answer });
  expect(call.request.messages.slice(0, 2)).toEqual([
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: 'once upon ' },
  ]);
  expect(call.request.messages[2]).toMatchObject({ role: 'user', content: expect.stringContaining('Go on exactly') });
  const delivery = deliver({}, { carried: text });
  expect(outputOf(delivery)).toMatchObject({
    choices: [{ message: { content: 'once upon hello' } }],
    usage: { prompt_tokens: 13, completion_tokens: 6 },
  });
  expect(delivery.usage, 'what this attempt used').toEqual(usageOf(3, 2));
});

test('a provider that stopped in the middle is given its own state, and the answer is all parts', () => {
  const { call } = play(plain, { carried: continuation }, { kind: 'answer', answer });
  expect(call).toMatchObject({ continuation: ['a block'], request: { messages: plain.messages } });
  const delivery = deliver({ reasoning: 'not', reasoningDetails: ['r2'] }, { carried: continuation });
  expect(outputOf(delivery).choices[0].message).toMatchObject({
    content: 'once hello',
    reasoning_content: 'why not',
    reasoning_details: [{ part: 'r1' }, { part: 'r2' }],
  });
});

test('what another target carried begins anew', () => {
  const { call } = play(plain, { carried: continuation, target: 'q/m' }, { kind: 'answer', answer });
  expect(call.continuation).toBeNull();
  expect(outputOf(deliver({}, { carried: continuation, target: 'q/m' })).choices[0].message.content).toBe('hello');
});

test('an answer that stopped in the middle is carried, with all of it so far', () => {
  const delivery = deliver({ continuation: ['next'] }, { carried: continuation });
  expect(delivery.carried).toMatchObject({
    kind: 'continuation',
    target: 'p/m',
    state: ['next'],
    text: 'once hello',
    usage: usageOf(13, 6),
    rounds: 2,
  });
  expect(delivery.fault).toBeNull();
});

test('an answer of very many parts ends with what there is', () => {
  expect(deliver({ continuation: ['next'] }, { carried: { ...continuation, rounds: 30 } }).carried).not.toBeNull();
  const last = deliver({ continuation: ['next'] }, { carried: { ...continuation, rounds: 31 } });
  expect(last).toMatchObject({ carried: null, kept: null, fault: null });
});

test.for<[string, Partial<Answer>, Carried | null, Carried | null]>([
  ['its text', {}, null, { kind: 'text', text: 'hello', usage: usageOf(3, 2), rounds: 1 }],
  ['with what came before it', {}, text, { kind: 'text', text: 'once upon hello', usage: usageOf(13, 6), rounds: 2 }],
  ['nothing, when it said nothing', { text: '' }, null, null],
  [
    'nothing, when half of a tool call is in it',
    { toolCalls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{' } }] },
    null,
    null,
  ],
])('a broken answer leaves to go on from: %s', ([, whole, carried, kept]) => {
  expect(deliver(whole, { carried }).kept).toEqual(kept);
});

test('what is kept of a stream that broke is read from its pieces', () => {
  const cut: ReadResult = { kind: 'failure', failure: failure('stream_interrupted', 'cut') };
  const pieces = play(plain, {}, cut).reader.createStreamReader(() => undefined);
  expect(pieces.end()).toEqual(cut);
  expect(pieces.partial().kept).toMatchObject({ kind: 'text', text: 'hello' });
  const refused = play(plain, {}, { ...cut, partial: answer }).reader.readAnswer(null);
  expect(refused).toMatchObject({ kind: 'failure', partial: { usage: usageOf(3, 2) } });
});

const chainWith = (onLength: ChainSettings['onLength']) => ({ chain: { ...base.chain, onLength } });
const cut = { finishReason: 'length' } as const;
const json: ChatRequest = { ...plain, response_format: { type: 'json_object' } };
const schema: ChatRequest = {
  ...plain,
  response_format: {
    type: 'json_schema',
    json_schema: { name: 'n', schema: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } },
  },
};

test.for<[string, Partial<Answer>, Partial<ChatWorkInput>, ChatRequest, Delivery['fault'] | object]>([
  ['an answer', {}, {}, plain, null],
  ['a refusal', { refusal: 'no' }, {}, plain, { failure: { kind: 'refusal' } }],
  ['a filtered answer', { finishReason: 'content_filter' }, {}, plain, { failure: { kind: 'refusal' } }],
  ['a cut answer, where that is accepted', cut, {}, plain, null],
  [
    'a cut answer, where it is not',
    cut,
    chainWith('fallback'),
    plain,
    { failure: { kind: 'bad_output' }, action: 'fallback' },
  ],
  ['a cut answer, where it ends the job', cut, chainWith('fail'), plain, { action: 'fail' }],
  ['JSON', { text: '{"n":1}' }, {}, json, null],
  ['no JSON', { text: 'n is 1' }, {}, json, { failure: { kind: 'bad_output', message: 'the answer is not JSON' } }],
  ['JSON that holds to the schema', { text: '{"n":1}' }, {}, schema, null],
  ['JSON that does not', { text: '{"n":"canary"}' }, {}, schema, { failure: { kind: 'bad_output' } }],
  ['a cut answer that is whole JSON', { ...cut, text: '{"n":1}' }, {}, schema, null],
  [
    'cut JSON, which the same limit would cut again',
    { ...cut, text: '{"n":' },
    {},
    schema,
    { failure: { kind: 'bad_output' }, action: 'fallback' },
  ],
  ['cut JSON, where the chain says more', { ...cut, text: '{"n":' }, chainWith('fail'), schema, { action: 'fail' }],
  [
    'a tool call beside a schema',
    { text: '', toolCalls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }] },
    {},
    schema,
    null,
  ],
])('what is wrong with %s', ([, whole, input, request, expected]) => {
  const { fault } = deliver(whole, input, request);
  if (expected === null) return expect(fault).toBeNull();
  expect(fault).toMatchObject(expected);
  expect(JSON.stringify(fault)).not.toContain('canary');
});

test('JSON in parts is judged when it is whole', () => {
  const first = deliver({ text: '{"n":', continuation: ['next'] }, {}, schema);
  expect(first.fault).toBeNull();
  const second = deliver({ text: '1}' }, { carried: first.carried }, schema);
  expect(second.fault).toBeNull();
  expect(outputOf(second).choices[0].message.content).toBe('{"n":1}');
});

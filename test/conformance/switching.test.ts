/**
 * A conversation that any provider began is continued at any other.
 *
 * It has a picture, reasoning, two calls at once and their results. The meaning stays; what only its maker understands
 * goes back to its maker alone, and is dropped with a warning everywhere else.
 */
import { toChatCompletion } from '@waybill/shared/chat/response.ts';
import { createTransport, type Transport } from '@waybill/shared/providers/transport.ts';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { callChat, modelOf } from '../support/fake-providers/call-provider.ts';
import { boundOf, meaningOf, pixel, pixelUri, result, tool, user } from '../support/fake-providers/conversation.ts';
import { type FakeProviders, startFakeProviders } from '../support/fake-providers/server.ts';
import { type Heard, says } from '../support/fake-providers/wire.ts';

let fakes: FakeProviders;
let transport: Transport;
beforeAll(async () => {
  fakes = await startFakeProviders();
  transport = createTransport({ connections: 8, connectMs: 2_000 });
});
afterAll(() => Promise.all([fakes.stop(), transport.close()]));

/** One of each dialect, and the servers whose rules for calls and reasoning are their own. */
const targets = [
  ['openai', 'gpt-5.4'],
  ['anthropic', 'claude-opus-4-6'],
  ['gemini', 'gemini-3-pro'],
  ['azure-openai', 'my-deployment'],
  ['cohere', 'command-a-reasoning-08-2025'],
  ['ollama', modelOf('ollama')],
  ['mistral', modelOf('mistral')],
  ['openrouter', modelOf('openrouter')],
] as const;
type Target = (typeof targets)[number];

const tools = [tool('get-weather')];
const weather = (city: string) => ({ city, unit: 'c' });
/** Makers whose reasoning is sealed, or must come back. */
const binds = ['openai', 'anthropic', 'gemini'];

const question = user([
  { type: 'text', text: 'What is here, and how is the weather in Bern and Genève?' },
  { type: 'image_url', image_url: { url: pixelUri } },
]);

interface Begun {
  readonly target: Target;
  readonly messages: readonly object[];
  readonly warnings: readonly string[];
  readonly heard: Heard | null | undefined;
}

/** Asks a target, and appends its answer as our users get it, with the results of its calls. */
async function begin(target: Target, stream: boolean): Promise<Begun> {
  const [id, model] = target;
  const ids =
    id === 'mistral'
      ? ['abcdEF121', 'abcdEF122']
      : ['gemini', 'ollama'].includes(id)
        ? [null, null]
        : ['call_1', 'call_2'];
  const calls = ['Bern', 'Genève'].map((city, index) => ({
    id: ids[index] ?? null,
    name: id === 'cohere' ? 'get_weather' : 'get-weather',
    arguments: weather(city),
  }));
  const line = fakes.open(id, {
    kind: 'says',
    said: says('A pixel. Let me look.', { reasoning: 'They ask for two things.', calls }),
  });
  const request = { messages: [question], tools, reasoning_effort: id === 'openai' ? 'low' : null };
  const outcome = await callChat(transport, id, line.endpoint, request, { model, stream });
  if (outcome.kind !== 'called' || outcome.result.kind !== 'answer') throw new Error(JSON.stringify(outcome));
  const completion = toChatCompletion(outcome.result.answer, {
    jobId: 'job_1',
    target: `${id}/${model}`,
    createdAtMs: 0,
  });
  const message = (completion.choices[0] as { message: { tool_calls: { id: string }[] } }).message;
  const [first, second] = message.tool_calls;
  return {
    target,
    warnings: outcome.warnings,
    heard: line.seen[0]?.heard,
    messages: [
      question,
      message,
      result(first?.id ?? '', '{"celsius": 18}'),
      result(second?.id ?? '', 'windy'),
      user('And tomorrow?'),
    ],
  };
}

async function proceed(begun: Begun, [id, model]: Target) {
  const line = fakes.open(id, { kind: 'says', said: says('Rain.') });
  const request = { messages: begun.messages, tools, reasoning_effort: id === 'openai' ? 'low' : null };
  const outcome = await callChat(transport, id, line.endpoint, request, { model });
  if (outcome.kind !== 'called') throw new Error(JSON.stringify(outcome));
  expect(line.seen.map(({ refused }) => refused)).toEqual([null]);
  expect(outcome.result).toMatchObject({ kind: 'answer', answer: { text: 'Rain.' } });
  const heard = line.seen[0]?.heard;
  if (!heard) throw new Error('nothing was heard');
  return { heard, warnings: outcome.warnings };
}

const meaningAt = (id: string): string[] => {
  const name = id === 'cohere' ? 'get_weather' : 'get-weather';
  return [
    'user: What is here, and how is the weather in Bern and Genève?',
    `image ${pixel}`,
    'model: A pixel. Let me look.',
    `call 1: ${name} ${JSON.stringify(weather('Bern'))}`,
    `call 2: ${name} ${JSON.stringify(weather('Genève'))}`,
    'result of 1: {"celsius":18}',
    'result of 2: windy',
    'user: And tomorrow?',
  ];
};

describe.for(targets)('a conversation of %s', (from) => {
  const [maker] = from;

  test.for(targets)('goes on at %s', async (to) => {
    const begun = await begin(from, false);
    const { heard, warnings } = await proceed(begun, to);
    expect(meaningOf(heard.parts)).toEqual(meaningAt(to[0]));
    if (to === from) {
      expect(warnings).toEqual([]);
      if (binds.includes(maker)) expect(boundOf(heard)).not.toEqual([]);
      return;
    }
    expect(boundOf(heard)).toEqual([]);
    if (binds.includes(maker)) expect(warnings.filter((each) => /reasoning/.test(each))).toHaveLength(1);
  });

  it('goes on with itself as well when it was streamed', async () => {
    const { heard, warnings } = await proceed(await begin(from, true), from);
    expect(meaningOf(heard.parts)).toEqual(meaningAt(maker));
    expect(boundOf(heard)).toEqual(boundOf((await proceed(await begin(from, false), from)).heard));
    expect(warnings).toEqual([]);
  });
});

test.for([
  ['openai', 'gpt-5.4', 'gpt-5.5'],
  ['anthropic', 'claude-opus-4-6', 'claude-opus-5'],
  ['gemini', 'gemini-3-pro', 'gemini-3-flash'],
] as const)('what %s sealed for one model does not go to another model of it', async ([id, one, other]) => {
  const { heard, warnings } = await proceed(await begin([id, one] as never, false), [id, other] as never);
  expect(boundOf(heard)).toEqual([]);
  expect(warnings.filter((each) => /reasoning/.test(each))).toHaveLength(1);
});

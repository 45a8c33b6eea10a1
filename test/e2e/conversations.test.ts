/** Conversations: what was said before goes along, one turn at a time, whoever answers. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  type Reply,
  refuse,
  type ScriptedProvider,
  type SeenRequest,
  say,
  startScriptedProvider,
} from '../support/scripted-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let a: ScriptedProvider;
let b: ScriptedProvider;
let waybill: TestWaybill;
/** Whatever a test leaves shut is opened at the end. */
const gates: PromiseWithResolvers<void>[] = [];
let moodOfA: (request: SeenRequest) => Reply | Promise<Reply> = (request) => say(`a heard ${request.prompt}`);

beforeAll(async () => {
  a = await startScriptedProvider((request) => moodOfA(request));
  b = await startScriptedProvider((request) => say(`b heard ${request.prompt}`));
  waybill = await startWaybill({
    config: {
      providers: {
        a: { preset: 'openai-compatible', base_url: `${a.url}/v1`, models: { m: { context_window: 3_000 } } },
        b: { preset: 'openai-compatible', base_url: `${b.url}/v1` },
      },
      chains: { default: { targets: ['a/m', 'b/m'], mode: 'immediate' } },
    },
  });
});

afterAll(async () => {
  for (const gate of gates) gate.resolve();
  await waybill?.stop();
  await Promise.all([a?.stop(), b?.stop()]);
});

beforeEach(() => {
  moodOfA = (request) => say(`a heard ${request.prompt}`);
});

const turn = (conversation: string, content: string, more: object = {}) =>
  waybill.client.submit({
    conversation,
    body: { model: 'default', messages: [{ role: 'user', content }], max_tokens: 100 },
    ...more,
  });
const speak = async (conversation: string, content: string) =>
  whenFinal(waybill.client, (await turn(conversation, content)).id);
const messagesOf = (provider: ScriptedProvider, prompt: string) =>
  (provider.requests.findLast((request) => request.prompt === prompt)?.body.messages ?? []) as {
    role: string;
    content: string;
  }[];
const contents = (provider: ScriptedProvider, prompt: string) =>
  messagesOf(provider, prompt).map(({ content }) => content);

test('a turn brings along what was said before, and a fallback keeps it', async () => {
  await speak('talk', 'one');
  await speak('talk', 'two');
  expect(contents(a, 'two')).toEqual(['one', 'a heard one', 'two']);
  moodOfA = (request) => (request.prompt === 'three' ? refuse(500) : say(`a heard ${request.prompt}`));
  expect(await speak('talk', 'three')).toMatchObject({ status: 'succeeded', target: 'b/m' });
  expect(contents(b, 'three')).toEqual(['one', 'a heard one', 'two', 'a heard two', 'three']);
  await speak('talk', 'four');
  expect(contents(a, 'four').at(-2)).toBe('b heard three');
});

test('how long it is, is not forgotten over a turn at a target with a small window', async () => {
  const at = (model: string, content: string) => ({
    conversation: 'long',
    body: { model, messages: [{ role: 'user', content }], max_tokens: 100 },
  });
  const said = async (job: object) => whenFinal(waybill.client, (await waybill.client.submit(job)).id);
  expect(await said(at('b/m', 'word '.repeat(8_000)))).toMatchObject({ status: 'succeeded' });
  expect(await said(at('a/m', 'short'))).toMatchObject({ status: 'succeeded', target: 'a/m' });
  const { input_tokens: small } = await waybill.client.estimate(at('a/m', 'next'));
  const { input_tokens: all } = await waybill.client.estimate(at('b/m', 'next'));
  expect(small).toBe(3_000 - 100);
  expect(all).toBeGreaterThan(8_000);
});

test('conversations of other names are others', async () => {
  await speak('elsewhere', 'alone');
  expect(contents(a, 'alone')).toEqual(['alone']);
});

test('turns that come at once go one after the other, in the order in which they came', async () => {
  let calls = 0;
  let mostOpen = 0;
  const gate = Promise.withResolvers<void>();
  gates.push(gate);
  moodOfA = async (request) => {
    calls += 1;
    mostOpen = Math.max(mostOpen, request.open);
    if (request.prompt === 'first') await gate.promise;
    return say(`a heard ${request.prompt}`);
  };
  const ids: string[] = [];
  for (const content of ['first', 'second', 'third']) ids.push((await turn('queue', content)).id);
  for (const id of ids.slice(1))
    await eventually(
      () => waybill.client.get(id),
      ({ waiting }) => waiting?.reason === 'conversation',
    );
  gate.resolve();
  for (const id of ids) expect(await whenFinal(waybill.client, id)).toMatchObject({ status: 'succeeded' });
  expect(contents(a, 'third')).toEqual(['first', 'a heard first', 'second', 'a heard second', 'third']);
  expect(mostOpen).toBe(1);
  expect(calls).toBe(3);
});

test('a turn that failed is no part of it, and the next one goes on', async () => {
  moodOfA = (request) => say(`a heard ${request.prompt}`);
  await speak('broken', 'start');
  moodOfA = () => refuse(400, { error: { message: 'no', code: 'invalid_value' } });
  expect(await speak('broken', 'lost')).toMatchObject({ status: 'failed' });
  moodOfA = (request) => say(`a heard ${request.prompt}`);
  await speak('broken', 'again');
  expect(contents(a, 'again')).toEqual(['start', 'a heard start', 'again']);
});

test('a cancelled turn lets the next one go', async () => {
  moodOfA = (request) => (request.prompt === 'hangs' ? { kind: 'hang' } : say(`a heard ${request.prompt}`));
  const hanging = await turn('cancelled', 'hangs');
  await eventually(
    () => a.requests.some(({ prompt }) => prompt === 'hangs'),
    (isThere) => isThere,
  );
  const next = await turn('cancelled', 'goes on');
  await waybill.client.cancel(hanging.id);
  expect(await whenFinal(waybill.client, next.id)).toMatchObject({ status: 'succeeded' });
  expect(contents(a, 'goes on')).toEqual(['goes on']);
});

test('what no longer fits the window is left out turn by turn, the oldest first, and the attempt says so', async () => {
  moodOfA = (request) => say(`a heard ${request.prompt.length}`);
  for (const word of ['alpha', 'beta', 'gamma']) await speak('long', `${word} `.repeat(1_100));
  const job = await speak('long', 'and now');
  expect(contents(a, 'and now')).not.toContain('alpha '.repeat(1_100));
  expect(contents(a, 'and now')).toContain('gamma '.repeat(1_100));
  expect(JSON.stringify(job.attempts[0]?.warnings)).toContain('left out');
});

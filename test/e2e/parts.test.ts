/** Answers that come in parts: a stream that broke and is gone on from, and one that begins anew. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Reply, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { startScriptedReceiver } from '../support/scripted-receiver.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let providers: Record<'a' | 'b', ScriptedProvider>;
let waybill: TestWaybill;

/** By the user's first message. */
const scripts = new Map<string, Partial<Record<'a' | 'b', readonly Reply[]>>>();
const messagesOf = ({ body }: { body: Record<string, unknown> }) =>
  body.messages as { role: string; content: string }[];
const callsOf = (id: 'a' | 'b', prompt: string) =>
  providers[id].requests.filter((request) => messagesOf(request)[0]?.content === prompt);

const play = (id: 'a' | 'b') =>
  startScriptedProvider((request) => {
    const prompt = messagesOf(request)[0]?.content ?? '';
    const replies = scripts.get(prompt)?.[id] ?? [];
    return replies[callsOf(id, prompt).length - 1] ?? replies.at(-1) ?? whole('a whole answer');
  });
const stream = (end: 'done' | 'cut', pieces: readonly string[]): Reply => ({ kind: 'stream', pieces, end });
const cut = (...pieces: readonly string[]) => stream('cut', pieces);
const whole = (...pieces: readonly string[]) => stream('done', pieces);

beforeAll(async () => {
  providers = { a: await play('a'), b: await play('b') };
  const chain = { targets: ['a/m', 'b/m'], same_target_retries: 0, backoff: { initial: '5ms', max: '10ms' } };
  waybill = await startWaybill({
    config: {
      providers: {
        a: { preset: 'openai-compatible', base_url: `${providers.a.url}/v1`, timeouts: { idle: '500ms' } },
        b: { preset: 'openai-compatible', base_url: `${providers.b.url}/v1` },
      },
      chains: {
        default: { ...chain, resume: 'continue' },
        restart: chain,
        patient: { ...chain, resume: 'continue', same_target_retries: 3 },
      },
    },
  });
});

afterAll(async () => {
  await waybill?.stop();
  await Promise.all(Object.values(providers ?? {}).map((provider) => provider.stop()));
});

async function run(
  prompt: string,
  script: Partial<Record<'a' | 'b', readonly Reply[]>>,
  more: object = {},
  job: object = {},
) {
  scripts.set(prompt, script);
  const body = { model: 'default', messages: [{ role: 'user', content: prompt }], max_tokens: 8_000, ...more };
  return whenFinal(waybill.client, (await waybill.client.submit({ body, ...job })).id);
}
const story = (job: Awaited<ReturnType<typeof run>>) =>
  job.attempts.map(({ target, status, failure }) =>
    [target.slice(0, 1), status, failure?.kind].filter(Boolean).join(' '),
  );

test('a long answer is streamed from the provider, and read as if it had come whole', async () => {
  const job = await run('streams', { a: [whole('one ', 'two')] });
  expect(job).toMatchObject({ output_text: 'one two', usage: { completion_tokens: 2 } });
  expect(callsOf('a', 'streams')[0]?.body).toMatchObject({ stream: true });
  expect((await run('does not stream', { a: [say('short')] }, { max_tokens: 100 })).status).toBe('succeeded');
  expect(callsOf('a', 'does not stream')[0]?.body.stream).not.toBe(true);
});

test('the next target goes on from the text of a stream that broke', async () => {
  const job = await run('continues', { a: [cut('Once upon ', 'a ti')], b: [whole('me there ', 'was')] });
  expect(story(job)).toEqual(['a failed stream_interrupted', 'b succeeded']);
  expect(messagesOf(callsOf('b', 'continues')[0] ?? { body: {} })).toEqual([
    { role: 'user', content: 'continues' },
    { role: 'assistant', content: 'Once upon a ti' },
    { role: 'user', content: expect.stringContaining('Go on') },
  ]);
  expect(job).toMatchObject({ status: 'succeeded', output_text: 'Once upon a time there was' });
});

test('by default the next target begins anew', async () => {
  const job = await run('restarts', { a: [cut('lost')], b: [whole('new')] }, { model: 'restart' });
  expect(job.output_text).toBe('new');
  expect(messagesOf(callsOf('b', 'restarts')[0] ?? { body: {} })).toHaveLength(1);
});

test('a text grows over several breaks, and the same target may go on as well', async () => {
  const job = await run('breaks often', { a: [cut('1 '), cut('2 '), cut('3 '), whole('4')] }, { model: 'patient' });
  expect(story(job)).toEqual([...Array(3).fill('a failed stream_interrupted'), 'a succeeded']);
  expect(job.output_text).toBe('1 2 3 4');
  expect(messagesOf(callsOf('a', 'breaks often')[3] ?? { body: {} })[1]?.content).toBe('1 2 3 ');
});

test('a stream that stalls is gone on from alike', async () => {
  const job = await run('stalls', { a: [{ kind: 'stream', pieces: ['be'], end: 'stall' }], b: [whole('gun')] });
  expect(story(job)).toEqual(['a failed timeout', 'b succeeded']);
  expect(job.output_text).toBe('begun');
});

test('nothing is carried where nothing came', async () => {
  const job = await run('empty', { a: [cut()], b: [whole('all of it')] });
  expect(job.output_text).toBe('all of it');
  expect(messagesOf(callsOf('b', 'empty')[0] ?? { body: {} })).toHaveLength(1);
});

test('JSON is judged as a whole, over its parts', async () => {
  const job = await run(
    'json in parts',
    { a: [cut('{"n"', ':')], b: [whole('1}')] },
    { response_format: { type: 'json_object' } },
  );
  expect(story(job)).toEqual(['a failed stream_interrupted', 'b succeeded']);
  expect(job.output_text).toBe('{"n":1}');
});

test('what the broken part used is unknown, and counted; the receiver is told what the job says', async () => {
  const receiver = await startScriptedReceiver();
  const job = await run('told', { a: [cut('one ')], b: [whole('two')] }, {}, { webhook_url: receiver.url });
  expect(job.attempts[0]).toMatchObject({ usage: null, cost_usd: null, cost_reason: 'stream_interrupted' });
  expect(job.usage).toEqual(job.attempts[1]?.usage);
  const [told] = await eventually(
    () => receiver.received,
    (received) => received.length > 0,
  );
  expect(told?.event.data).toMatchObject({ usage: job.usage, cost_usd: job.cost_usd });
  await receiver.stop();
});

test('a retry of a job that failed begins anew, whatever its last run had carried', async () => {
  const job = await run('retried', { a: [cut('old ')], b: [{ kind: 'error', status: 400 }] });
  expect(job.status).toBe('failed');
  scripts.set('retried', { a: [whole('fresh')] });
  await waybill.client.retry(job.id);
  expect(await whenFinal(waybill.client, job.id)).toMatchObject({ status: 'succeeded', output_text: 'fresh' });
  const last = callsOf('a', 'retried').at(-1);
  expect(messagesOf(last ?? { body: {} })).toHaveLength(1);
});

/** Streamed jobs: the answer in pieces while it comes in, whatever happens to the provider, the reader or the job. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EventStream, openEventStream, textOfEvents } from '../support/event-stream.ts';
import { cut, type Step, type StreamingProvider, startStreamingProvider } from '../support/streaming-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

/** By prompt: what each request to a provider is answered with. */
const scripts = new Map<string, Partial<Record<'a' | 'b', readonly (readonly Step[])[]>>>();
let providers: Record<'a' | 'b', StreamingProvider>;
let waybill: TestWaybill;

const play = (id: 'a' | 'b') => (prompt: string, n: number) => {
  const answers = scripts.get(prompt)?.[id] ?? [];
  return answers[n - 1] ?? answers.at(-1) ?? [`${id} says hello`];
};
const configOf = (a: StreamingProvider, b: StreamingProvider) => {
  const chain = { targets: ['a/one', 'b/two'], same_target_retries: 0, backoff: { initial: '5ms', max: '20ms' } };
  return {
    providers: {
      // Not probed: one test counts the sockets of this process.
      a: { preset: 'openai', base_url: a.url, api_key: 'test', health: { probe: false } },
      b: { preset: 'openai', base_url: b.url, api_key: 'test', health: { probe: false } },
    },
    chains: { default: chain, continuing: { ...chain, resume: 'continue' } },
  };
};

beforeAll(async () => {
  providers = { a: await startStreamingProvider(play('a')), b: await startStreamingProvider(play('b')) };
  waybill = await startWaybill({ config: configOf(providers.a, providers.b) });
});
afterAll(async () => {
  await waybill?.stop();
  await Promise.all(Object.values(providers ?? {}).map((provider) => provider.stop()));
});

type Script = NonNullable<ReturnType<typeof scripts.get>>;

async function submit(prompt: string, script: Script, more: { model?: string; stream?: boolean } = {}) {
  scripts.set(prompt, script);
  const { model = 'default', stream = true } = more;
  const { id } = await waybill.client.submit({
    body: { model, stream, messages: [{ role: 'user', content: prompt }] },
  });
  return id;
}
const follow = (id: string, lastEventId?: string, from = waybill): Promise<EventStream> =>
  openEventStream(`${from.url}/v1/jobs/${id}/stream`, {
    apiKey: from.adminKey,
    ...(lastEventId === undefined ? {} : { lastEventId }),
  });
/** `delta Hel`, `restarted b/two`. */
const story = (stream: EventStream): string[] =>
  stream.events.map(({ event, data }) => [event, data.text ?? data.target ?? data.status].filter(Boolean).join(' '));
const isText = (text: string) => (event: { data: Record<string, unknown> }) => event.data.text === text;

test('text arrives in pieces before the job is done', async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const id = await submit('pieces', { a: [['Hel', gates[0]?.promise ?? '', 'lo ', gates[1]?.promise ?? '', 'you']] });
  const stream = await follow(id);
  await stream.until(isText('Hel'));
  expect((await waybill.client.get(id)).status).toBe('in_progress');
  gates[0]?.resolve();
  await stream.until(isText('lo '));
  gates[1]?.resolve();
  await stream.toEnd();
  expect(story(stream)).toEqual(['started a/one', 'delta Hel', 'delta lo ', 'delta you', 'done succeeded']);
  expect(stream.events.at(-1)?.data).toEqual({
    status: 'succeeded',
    finish_reason: 'stop',
    usage: expect.objectContaining({ prompt_tokens: 3, completion_tokens: 5 }),
    error: null,
  });
  expect((await waybill.client.get(id)).output_text).toBe(textOfEvents(stream.events));
  expect(stream.events.map((event) => event.id?.split('-')[1])).toEqual(['1', '2', '3', '4', '1']);
});

test('a stream that breaks in the middle restarts on the next target, and says so', async () => {
  const gate = Promise.withResolvers<void>();
  const id = await submit('broken', { a: [['Wro', gate.promise, cut]], b: [['Right', ' this time']] });
  const stream = await follow(id);
  await stream.until(isText('Wro'));
  gate.resolve();
  await stream.toEnd();
  expect(story(stream).slice(0, 3)).toEqual(['started a/one', 'delta Wro', 'restarted b/two']);
  expect(stream.events[2]?.data).toEqual({ attempt: 2, target: 'b/two', because: 'stream_interrupted' });
  expect(textOfEvents(stream.events)).toBe('Right this time');
  const job = await waybill.client.get(id);
  expect(job).toMatchObject({ status: 'succeeded', target: 'b/two', output_text: 'Right this time' });
});

test('a target that fails before its first word leaves nothing to restart', async () => {
  const id = await submit('refused', { a: [[{ status: 500 }]], b: [['Hello']] });
  const stream = await follow(id);
  await stream.toEnd();
  expect(stream.events.map(({ event }) => event)).not.toContain('restarted');
  expect(textOfEvents(stream.events)).toBe('Hello');
});

test('`resume: continue` hands the partial text on', async () => {
  const gate = Promise.withResolvers<void>();
  const script = { a: [['One, two', gate.promise, cut]], b: [[', three', ', four']] };
  const id = await submit('continued', script, { model: 'continuing' });
  const stream = await follow(id);
  await stream.until(isText('One, two'));
  gate.resolve();
  await stream.toEnd();
  expect(story(stream).slice(0, 3)).toEqual(['started a/one', 'delta One, two', 'resumed b/two']);
  expect(stream.events.map(({ event }) => event)).not.toContain('gap');
  const job = await waybill.client.get(id);
  expect(job.output_text).toBe('One, two, three, four');
  expect(textOfEvents(stream.events)).toBe(job.output_text);
});

test('a reader that comes back misses nothing and gets nothing twice', async () => {
  const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const words = ['a ', 'b ', 'c ', 'd ', 'e ', 'f '];
  const id = await submit('reconnect', { a: [words.flatMap((word, n) => [gates[n]?.promise ?? '', word])] });
  const seen: EventStream['events'][number][] = [];
  for (const [n, word] of words.entries()) {
    const stream = await follow(id, seen.at(-1)?.id ?? undefined);
    gates[n]?.resolve();
    await stream.until(isText(word));
    seen.push(...stream.events);
    stream.close();
  }
  const last = await follow(id, seen.at(-1)?.id ?? undefined);
  seen.push(...(await last.toEnd()));
  expect(seen.map(({ event, data }) => data.text ?? event)).toEqual(['started', ...words, 'done']);
});

test('a reader that has been told the end is not told again', async () => {
  const id = await submit('ended', { a: [['Hello']] });
  const stream = await follow(id);
  const done = (await stream.toEnd()).at(-1);
  expect((await follow(id, done?.id ?? '')).status).toBe(204);
  expect(story(await atEnd(await follow(id, stream.events.at(-2)?.id ?? '')))).toEqual(['done succeeded']);
});

async function atEnd(stream: EventStream): Promise<EventStream> {
  await stream.toEnd();
  return stream;
}

test('several readers are told the same', async () => {
  const gate = Promise.withResolvers<void>();
  const id = await submit('together', { a: [['Hel', gate.promise, 'lo']] });
  const streams = await Promise.all([follow(id), follow(id), follow(id)]);
  await Promise.all(streams.map((stream) => stream.until(isText('Hel'))));
  gate.resolve();
  const all = await Promise.all(streams.map((stream) => stream.toEnd()));
  expect(all[1]).toEqual(all[0]);
  expect(all[2]).toEqual(all[0]);
});

test.for([true, false])('of a final job the whole output comes as one piece (streamed: %s)', async (stream) => {
  const id = await submit(`final ${stream}`, { a: [['Hel', 'lo']] }, { stream });
  await whenFinal(waybill.client, id);
  expect(story(await atEnd(await follow(id)))).toEqual(['delta Hello', 'done succeeded']);
});

test('a job that is not streamed is waited for, and then told whole', async () => {
  const gate = Promise.withResolvers<void>();
  const id = await submit('unstreamed', { a: [[gate.promise, 'Hel', 'lo']] }, { stream: false });
  const stream = await follow(id);
  gate.resolve();
  expect(story(await atEnd(stream))).toEqual(['delta Hello', 'done succeeded']);
  expect(providers.a.bodies.find((body) => JSON.stringify(body).includes('unstreamed'))?.stream).not.toBe(true);
});

test('a cancelled job ends the stream with its status', async () => {
  const id = await submit('cancelled', { a: [['Hel', new Promise(() => undefined)]] });
  const stream = await follow(id);
  await stream.until(isText('Hel'));
  await waybill.client.cancel(id);
  const events = await stream.toEnd();
  expect(events.at(-1)).toMatchObject({ event: 'done', data: { status: 'cancelled', error: { kind: 'cancelled' } } });
});

test('a failed job ends the stream with its error', async () => {
  const id = await submit('failed', { a: [['Hel', cut]], b: [[{ status: 500 }]] });
  const events = await (await follow(id)).toEnd();
  expect(events.at(-1)).toMatchObject({
    event: 'done',
    data: { status: 'failed', error: { kind: 'attempts_exhausted' }, usage: null, finish_reason: null },
  });
});

test('the next run of a job has a stream of its own', async () => {
  const id = await submit('again', { a: [['Hel', cut], ['Hello']], b: [[{ status: 500 }]] });
  const first = await (await follow(id)).toEnd();
  await waybill.client.retry(id);
  const second = await follow(id, first.at(-1)?.id ?? '');
  expect(second.status).toBe(200);
  const events = await second.toEnd();
  expect(events.map(({ event }) => event).slice(0, 2)).toEqual(['gap', 'started']);
  expect(textOfEvents(events)).toBe('Hello');
  expect(events.at(-1)?.id).toBe('done-2');
});

test('a client that leaves takes everything with it', async () => {
  const id = await submit('left', { a: [['Hel', new Promise(() => undefined)]] });
  const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
  // The provider's connection and the first reader's stay.
  const first = await follow(id);
  await first.until(isText('Hel'));
  const before = sockets();
  const others = await Promise.all(Array.from({ length: 5 }, () => follow(id)));
  await Promise.all(others.map((stream) => stream.until(isText('Hel'))));
  expect(sockets()).toBeGreaterThan(before);
  for (const stream of others) stream.close();
  await eventually(sockets, (count) => count <= before, 30_000); // Idle ones of the client are kept for some seconds.
  first.close();
  await waybill.client.cancel(id);
});

test('what is asked wrongly is refused before the stream begins', async () => {
  const id = await submit('refused reader', { a: [['Hello']] });
  const codeOf = async (url: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${waybill.adminKey}`, ...(init.headers as object) };
    const response = await fetch(`${waybill.url}${url}`, { ...init, headers });
    return [response.status, ((await response.json()) as { error: { code: string } }).error.code];
  };
  expect(await codeOf(`/v1/jobs/job_${'0'.repeat(32)}/stream`)).toEqual([404, 'not_found']);
  expect(await codeOf(`/v1/jobs/${id}/stream?after=1`)).toEqual([400, 'invalid_query']);
  expect(await codeOf(`/v1/jobs/${id}/stream`, { method: 'POST' })).toEqual([405, 'method_not_allowed']);
  expect(await codeOf(`/v1/jobs/${id}/stream`, { headers: { 'last-event-id': 'x' } })).toEqual([400, 'invalid_value']);
  expect(await codeOf(`/v1/jobs/${id}/stream`, { headers: { authorization: 'Bearer x' } })).toEqual([
    401,
    'invalid_api_key',
  ]);
  const other = await fetch(`${waybill.url}/v1/jobs/${id}/stream`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${waybill.adminKey}` },
  });
  expect(other.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
});

test('a server that stops ends its streams, and the next one goes on', async () => {
  scripts.set('stopped', { a: [['Hel', new Promise(() => undefined)], ['Hello']] });
  const config = configOf(providers.a, providers.b);
  const own = await startWaybill({ config });
  const body = { model: 'default', stream: true, messages: [{ role: 'user', content: 'stopped' }] };
  const { id } = await own.client.submit({ body });
  const stream = await follow(id, undefined, own);
  await stream.until(isText('Hel'));
  const stopping = own.stop();
  await stream.toEnd();
  expect(stream.raw()).toMatch(/: the server is stopping: connect again\n\n$/);
  await stopping;
});

/** Jobs for embeddings: OpenAI's list, in as many requests as the provider needs, and never half of two models. */
import { entryId } from '@waybill/shared/domain/ids.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { claimJobs } from '@waybill/shared/store/claim.ts';
import { runEntry } from '@waybill/workers/attempt/run.ts';
import { sweep } from '@waybill/workers/upkeep/sweep.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { plainClaim } from '../support/claims.ts';
import {
  type Reply,
  refuse,
  type ScriptedProvider,
  type SeenRequest,
  startScriptedProvider,
} from '../support/scripted-provider.ts';
import { startScriptedReceiver } from '../support/scripted-receiver.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';
import { startTestWorker } from '../support/worker-context.ts';

let provider: ScriptedProvider;
let waybill: TestWaybill;

/** By the first input of the job's list. */
const scripts = new Map<string, (nth: number, request: SeenRequest) => Reply>();
/** `doc 12` becomes 12; another model says it negatively. */
const vectorsOf = ({ body }: SeenRequest): Reply => ({
  kind: 'vectors',
  of: (input) => Number(input.split(' ').at(-1)) * (body.model === 'negative' ? -1 : 1),
});
const nameOf = ({ body }: SeenRequest) => [body.input].flat().join(' ').split(' ')[0] ?? '';
const callsOf = (name: string) => provider.requests.filter((request) => nameOf(request) === name);
const inputsOf = ({ body }: SeenRequest) => body.input as string[];

beforeAll(async () => {
  provider = await startScriptedProvider(
    (request) => scripts.get(nameOf(request))?.(callsOf(nameOf(request)).length, request) ?? vectorsOf(request),
  );
  const at = { base_url: `${provider.url}/v1`, api_key: 'test' };
  const priced = { input_usd_per_million: '2', output_usd_per_million: '0' };
  waybill = await startWaybill({
    config: {
      providers: {
        a: { ...at, preset: 'openai', models: { positive: priced, negative: priced } },
        b: { ...at, preset: 'openai', models: { positive: priced, negative: priced } },
        chatty: { ...at, preset: 'groq' },
        claude: { ...at, preset: 'anthropic' },
      },
      chains: {
        default: { targets: ['a/positive', 'b/negative'], backoff: { initial: '5ms', max: '10ms' } },
        chat_first: { targets: ['claude/claude-haiku-4-5', 'chatty/llama', 'a/positive'] },
      },
    },
  });
});

afterAll(async () => {
  await waybill?.stop();
  await provider?.stop();
});

const listOf = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name} ${index}`);
const submit = (input: unknown, body: object = {}, job: object = {}) =>
  waybill.client.submit({ endpoint: '/v1/embeddings', body: { model: 'default', input, ...body }, ...job });
const run = async (...asked: Parameters<typeof submit>) =>
  whenFinal(waybill.client, (await submit(...asked)).id, 60_000);
type Output = { object: string; model: string; data: { index: number; embedding: number[] }[]; usage: unknown };
const outputOf = (job: Awaited<ReturnType<typeof run>>) => job.output as unknown as Output;
const numbersOf = (job: Awaited<ReturnType<typeof run>>) => outputOf(job).data.map(({ embedding }) => embedding[0]);
const story = (job: Awaited<ReturnType<typeof run>>) =>
  job.attempts.map(({ target, status, failure }) => [target, status, failure?.kind].filter(Boolean).join(' '));

test('a job gives the list of OpenAI, with what it used and what it cost', async () => {
  const job = await run(['plain 3', 'plain 4']);
  expect(job).toMatchObject({
    status: 'succeeded',
    endpoint: '/v1/embeddings',
    output_text: null,
    usage: { prompt_tokens: 2, completion_tokens: 0, total_tokens: 2 },
    cost_usd: '0.000004',
  });
  expect(outputOf(job)).toEqual({
    object: 'list',
    model: 'positive',
    data: [3, 4].map((value, index) => ({ object: 'embedding', index, embedding: [value] })),
    usage: { prompt_tokens: 2, total_tokens: 2 },
  });
  expect(callsOf('plain')[0]).toMatchObject({ path: '/v1/embeddings' });
});

test('one text is a list of one, and vectors come in base64 when that is asked for', async () => {
  const job = await run('single 7', { encoding_format: 'base64' });
  const [{ embedding }] = outputOf(job).data as unknown as [{ embedding: string }];
  expect(Buffer.from(embedding, 'base64').readFloatLE()).toBe(7);
});

test('5,000 inputs are three requests and one list, and the bill is their sum', async () => {
  const receiver = await startScriptedReceiver();
  const job = await run(listOf('many', 5_000), {}, { webhook_url: receiver.url });
  expect(story(job)).toEqual(Array(3).fill('a/positive succeeded'));
  expect(callsOf('many').map((request) => inputsOf(request).length)).toEqual([2_048, 2_048, 904]);
  expect(numbersOf(job)).toEqual(Array.from({ length: 5_000 }, (_, index) => index));
  expect(outputOf(job).data.map(({ index }) => index)).toEqual(numbersOf(job));
  expect(job.attempts.map(({ usage }) => usage?.prompt_tokens)).toEqual([2_048, 2_048, 904]);
  expect(job).toMatchObject({ usage: { prompt_tokens: 5_000 }, cost_usd: '0.01', cost_unknown_attempts: 0 });
  expect(outputOf(job).usage).toEqual({ prompt_tokens: 5_000, total_tokens: 5_000 });
  const { rows } = await waybill.server.database.pool.query(
    'select count(*)::int as n, sum(cost_nano)::text as nano from waybill.ledger where job_id = $1',
    [job.id],
  );
  expect(rows).toEqual([{ n: 3, nano: '10000000' }]);
  const [told] = await eventually(
    () => receiver.received,
    (received) => received.length > 0,
  );
  expect(told?.event).toMatchObject({ data: { usage: { prompt_tokens: 5_000 }, cost_usd: '0.01' } });
  const payload = await waybill.server.database.pool.query('select carried from waybill.payloads where job_id = $1', [
    job.id,
  ]);
  expect(payload.rows, 'nothing is left of the parts').toEqual([{ carried: null }]);
  await receiver.stop();
});

test('a part that fails once is asked for again, and no other', async () => {
  scripts.set('again', (nth, request) => (nth === 2 ? refuse(503) : vectorsOf(request)));
  const job = await run(listOf('again', 3_000));
  expect(story(job)).toEqual(['a/positive succeeded', 'a/positive failed overloaded', 'a/positive succeeded']);
  expect(callsOf('again').map((request) => inputsOf(request)[0])).toEqual(['again 0', 'again 2048', 'again 2048']);
  expect(numbersOf(job).at(-1)).toBe(2_999);
});

test('at another target the list begins anew: vectors of two models are never mixed', async () => {
  scripts.set('moves', (nth, request) =>
    nth > 1 && request.body.model === 'positive' ? refuse(500) : vectorsOf(request),
  );
  const job = await run(listOf('moves', 3_000));
  expect(story(job)).toEqual([
    'a/positive succeeded',
    'a/positive failed server_error',
    'a/positive failed server_error',
    'b/negative succeeded',
    'b/negative succeeded',
  ]);
  expect(inputsOf(callsOf('moves')[3] as SeenRequest)[0]).toBe('moves 0');
  expect(numbersOf(job).slice(1)).toEqual(Array.from({ length: 2_999 }, (_, index) => -1 - index));
});

test('too few vectors are no answer', async () => {
  scripts.set('short', (nth, request) =>
    nth > 1
      ? vectorsOf(request)
      : { kind: 'raw', body: '{"data":[{"index":0,"embedding":[1]}],"usage":{"prompt_tokens":2}}' },
  );
  expect(story(await run(['short 1', 'short 2']))).toEqual(['a/positive failed bad_output', 'a/positive succeeded']);
});

test('targets that cannot embed are left out from the start', async () => {
  const job = await run(['skips 1'], { model: 'chat_first' });
  expect(story(job)).toEqual(['a/positive succeeded']);
  await expect(submit(['never 1'], { model: 'claude/claude-haiku-4-5' })).rejects.toMatchObject({
    status: expect.toSatisfy((status: number) => status >= 400 && status < 500),
    code: 'no_eligible_target',
  });
  expect(callsOf('never')).toEqual([]);
});

test.for<[string, unknown, object, string]>([
  ['no input', undefined, {}, 'body.input'],
  ['an empty list', [], {}, 'body.input'],
  ['an empty text in a list', ['x', ''], {}, 'body.input'],
  ['token ids', [1, 2, 3], {}, 'body.input'],
  ['no dimensions at all', 'x', { dimensions: 0 }, 'body.dimensions'],
  ['an unknown encoding', 'x', { encoding_format: 'hex' }, 'body.encoding_format'],
  ['a field of chats', 'x', { messages: [] }, 'body'],
])('%s is refused, and the field is named', async ([, input, body, param]) => {
  const error = await submit(input, body).then(
    () => null,
    (reason: { status: number; param: string }) => reason,
  );
  expect(error).toMatchObject({ status: 400 });
  expect(error?.param?.startsWith(param), error?.param).toBe(true);
});

test('a worker that dies between parts loses none of them', async () => {
  const worker = await startTestWorker({
    providers: { a: { preset: 'openai', base_url: `${provider.url}/v1`, api_key: 'test' } },
  });
  const step = async (id: string) => {
    const job = await worker.readJob(id);
    const entry = { job: id, seq: job.seq, target: job.target, tenant: job.tenant_id, chain: null, estimate: 10 };
    const data = { ...entry, attempt: job.attempt + 1, reason: 'submitted', traceparent: null };
    return runEntry(data, entryId(id, job.seq), new AbortController().signal, worker.context);
  };
  const { id } = await worker.addJob(['a/positive'], {
    endpoint: '/v1/embeddings',
    request: { input: listOf('survives', 3_000) },
  });
  await step(id);
  const between = await worker.readJob(id);
  expect(between).toMatchObject({ status: 'queued', attempt: 1, target: 'a/positive' });
  const other = await worker.otherWorker();
  const epoch = await worker.context.epochs.of(splitTarget(between.target).provider);
  const claim = {
    jobId: id,
    seq: between.seq,
    target: between.target,
    workerId: other.id,
    ...plainClaim,
  };
  expect(await claimJobs(worker.database, [{ ...claim, permit: 'gone', epoch }], [])).toMatchObject([
    { kind: 'claimed', history: [{ n: 1, status: 'succeeded' }], carried: expect.stringContaining('"vectors"') },
  ]);
  await other.kill();
  await sweep(worker.context);
  expect(await step(id)).toEqual({ kind: 'done', note: 'succeeded' });
  expect(callsOf('survives').map((request) => inputsOf(request)[0])).toEqual(['survives 0', 'survives 2048']);
  const { rows } = await worker.database.pool.query(
    'select n, status, is_part from waybill.attempts where job_id = $1 order by n',
    [id],
  );
  expect(rows).toEqual([
    { n: 1, status: 'succeeded', is_part: true },
    { n: 2, status: 'unknown', is_part: false },
    { n: 3, status: 'succeeded', is_part: false },
  ]);
  const output = await worker.database.pool.query('select output from waybill.payloads where job_id = $1', [id]);
  expect(JSON.parse(String(output.rows[0]?.output)).data).toHaveLength(3_000);
  await worker.close();
});

/** The jobs API as its users see it: submit, wait, list, page, cancel, retry, schedule, expire, priorities. */
import type { JobJson } from '@waybill/producer/job-json.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exchange } from '../support/http-exchange.ts';
import { type Reply, refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { type ScriptedReceiver, startScriptedReceiver } from '../support/scripted-receiver.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let provider: ScriptedProvider;
let narrow: ScriptedProvider;
let receiver: ScriptedReceiver;
let waybill: TestWaybill;
/** What `narrow` answers, one call at a time, when a test says so. */
const gates = new Map<string, PromiseWithResolvers<Reply>>();
const healed = new Set<string>();

const script = ({ prompt }: { prompt: string }): Reply => {
  if (prompt.startsWith('hang')) return { kind: 'hang' };
  if (prompt.startsWith('fail') && !healed.has(prompt)) return refuse(400);
  return say(`re: ${prompt}`);
};

beforeAll(async () => {
  provider = await startScriptedProvider(script);
  narrow = await startScriptedProvider(({ prompt }) => gates.get(prompt)?.promise ?? say('done'));
  receiver = await startScriptedReceiver();
  const preset = 'openai-compatible';
  waybill = await startWaybill({
    config: {
      providers: {
        wide: {
          preset,
          endpoints: [`${provider.url}/v1`],
          models: { 'model-a': { input_usd_per_million: '1', output_usd_per_million: '2' } },
        },
        narrow: { preset, endpoints: [`${narrow.url}/v1`], limits: { concurrency: 1 } },
      },
      chains: { default: { targets: ['wide/model-a'] }, narrow: { targets: ['narrow/model-n'] } },
    },
  });
});
afterAll(async () => {
  for (const gate of gates.values()) gate.resolve(say('late'));
  await waybill.stop();
  await Promise.all([provider.stop(), narrow.stop(), receiver.stop()]);
});

const submit = (prompt: string, more: object = {}): Promise<JobJson> =>
  waybill.client.submit({ model: 'default', prompt, ...more });
const final = (id: string): Promise<JobJson> => whenFinal(waybill.client, id);
const seenBy = (each: ScriptedProvider, prompt: string) => each.requests.filter((seen) => seen.prompt === prompt);
const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'no error',
    (error: { status: number; code: string }) => `${error.status} ${error.code}`,
  );
const calling = (prompt: string, each = provider) =>
  eventually(
    () => seenBy(each, prompt),
    (seen) => seen.length > 0,
  );

const documented = [
  ...['id', 'object', 'custom_id', 'batch_id', 'status', 'endpoint', 'model', 'target', 'priority', 'require'],
  ...['created_at', 'run_at', 'deadline_at', 'started_at', 'finished_at', 'queue_ms', 'provider_ms', 'waiting'],
  ...['attempts', 'output', 'output_text', 'usage', 'cost_usd', 'cost_unknown_attempts', 'error', 'metadata'],
  ...['config_version', 'trace_id'],
];

test('a job is accepted, runs, and comes back with output, usage and cost in exactly the documented fields', async () => {
  const body = { model: 'default', messages: [{ role: 'user', content: 'whole' }], max_tokens: 200 };
  const more = { custom_id: 'doc-17', priority: 'interactive', metadata: { team: 'search' }, expires_in: '1h' };
  const accepted = await waybill.client.submit({ endpoint: '/v1/chat/completions', body, ...more });
  expect(accepted).toMatchObject({ object: 'job', status: 'queued', attempts: [], output: null, custom_id: 'doc-17' });
  expect(Date.parse(accepted.deadline_at) - Date.parse(accepted.created_at)).toBe(3_600_000);
  expect(accepted.waiting).toMatchObject({ reason: 'turn' });
  const job = await final(accepted.id);
  for (const each of [accepted, job]) expect(Object.keys(each)).toEqual(documented);
  expect(job).toMatchObject({
    status: 'succeeded',
    endpoint: '/v1/chat/completions',
    model: 'default',
    target: 'wide/model-a',
    priority: 'interactive',
    metadata: { team: 'search' },
    output_text: 're: whole',
    usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
    cost_usd: '0.000008',
    cost_unknown_attempts: 0,
    waiting: null,
    error: null,
    attempts: [{ n: 1, target: 'wide/model-a', status: 'succeeded', failure: null, cost_usd: '0.000008' }],
  });
  expect(job.output).toMatchObject({ object: 'chat.completion', choices: [{ message: { content: 're: whole' } }] });
  expect(Date.parse(job.finished_at ?? '')).toBeGreaterThanOrEqual(Date.parse(job.started_at ?? ''));
  expect(seenBy(provider, 'whole')[0]?.body).toMatchObject({ model: 'model-a', max_tokens: 200 });
});

test('the shorthand is one user message; a target may stand for a chain', async () => {
  const job = await final((await submit('short', { model: 'wide/other-model' })).id);
  expect(job).toMatchObject({ status: 'succeeded', model: 'wide/other-model', target: 'wide/other-model' });
  expect(seenBy(provider, 'short')[0]?.body.messages).toEqual([{ role: 'user', content: 'short' }]);
  // No price is known of this model: unknown is never zero.
  expect(job).toMatchObject({ cost_usd: '0.00', cost_unknown_attempts: 1, attempts: [{ cost_usd: null }] });
});

test('bulk keeps the order, names the batch in every job, and counts it by status', async () => {
  const prompts = Array.from({ length: 25 }, (_, n) => (n % 5 === 4 ? `fail bulk ${n}` : `bulk ${n}`));
  const { batch_id: batchId, data } = await waybill.client.submitMany(
    prompts.map((prompt, n) => ({ model: 'default', prompt, custom_id: `b-${n}`, metadata: { odd: String(n % 2) } })),
  );
  expect(batchId).toMatch(/^batch_[0-9a-f]{32}$/);
  expect(data.map((job) => job.custom_id)).toEqual(prompts.map((_, n) => `b-${n}`));
  expect(new Set(data.map((job) => job.batch_id))).toEqual(new Set([batchId]));
  const done = await eventually(
    () => waybill.client.list({ batch_id: batchId, limit: '100' }),
    ({ data: jobs }) => jobs.every((job) => ['succeeded', 'failed'].includes(job.status)),
  );
  expect(done.data.map((job) => job.id)).toEqual(data.map((job) => job.id).toReversed());
  expect(done.counts).toMatchObject({ succeeded: 20, failed: 5 });
  const some = await waybill.client.list({ batch_id: batchId, status: 'failed', 'metadata.odd': '0', limit: '100' });
  expect(some.data.map((job) => job.custom_id)).toEqual(['b-24', 'b-14', 'b-4']);
  expect(some.counts, 'counts are of the whole batch').toMatchObject({ succeeded: 20, failed: 5 });
  expect((await waybill.client.list({ custom_id: 'b-7' })).data).toMatchObject([{ id: data[7]?.id }]);
  expect((await waybill.client.list({ 'metadata.odd': '7' })).data).toEqual([]);
  expect((await waybill.client.list({ batch_id: 'batch_none' })).data).toEqual([]);
});

test('bulk is all or nothing', async () => {
  const jobs = ['ok', 'ok'].map((prompt) => ({ model: 'default', prompt, custom_id: `none-${prompt}` }));
  expect(await codeOf(waybill.client.submitMany(jobs))).toBe('422 duplicate_custom_id');
  expect((await waybill.client.list({ custom_id: 'none-ok' })).data).toEqual([]);
});

test('paging goes through everything exactly once, newest first, while new jobs come in', async () => {
  const metadata = { page: 'yes' };
  const { data } = await waybill.client.submitMany(
    Array.from({ length: 23 }, (_, n) => ({ model: 'default', prompt: `page ${n}`, metadata })),
  );
  const seen: string[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const page = await waybill.client.list({ 'metadata.page': 'yes', limit: '5', ...(cursor ? { cursor } : {}) });
    expect(page.has_more).toBe(page.next_cursor !== null);
    seen.push(...page.data.map((job) => job.id));
    cursor = page.next_cursor;
    pages += 1;
    await submit('page late', { metadata });
  } while (cursor !== null);
  expect(pages).toBe(5);
  expect(seen).toEqual(data.map((job) => job.id).toReversed());
});

test('wait answers at the end of the job, and with the job as it is when the time is over', async () => {
  const quick = await submit('waited for');
  expect((await waybill.client.get(quick.id, { wait: '30s' })).status).toBe('succeeded');
  const slow = await submit('hang while waited for');
  await calling('hang while waited for');
  const before = performance.now();
  expect((await waybill.client.get(slow.id, { wait: '300ms' })).status).toBe('in_progress');
  expect(performance.now() - before).toBeGreaterThanOrEqual(295);
  const waiting = waybill.client.get(slow.id, { wait: '60s' });
  await waybill.client.cancel(slow.id);
  expect((await waiting).status).toBe('cancelled');
});

test('cancelling a queued job keeps it from ever running; cancelling twice says the same', async () => {
  const job = await submit('never', { run_at: new Date(Date.now() + 60_000).toISOString() });
  expect(job.waiting).toMatchObject({ reason: 'schedule', until: job.run_at });
  const first = await waybill.client.cancel(job.id);
  expect(first).toMatchObject({ status: 'cancelled', error: { kind: 'cancelled' }, attempts: [], waiting: null });
  expect(await waybill.client.cancel(job.id)).toEqual(first);
  expect(await waybill.client.get(job.id)).toEqual(first);
  expect(seenBy(provider, 'never')).toEqual([]);
});

test('cancelling a running job closes the call to the provider', async () => {
  const job = await submit('hang and cancel');
  const [seen] = await calling('hang and cancel');
  expect((await waybill.client.cancel(job.id)).status).toBe('cancelled');
  await eventually(
    () => seen?.isClosedEarly,
    (isClosed) => isClosed === true,
  );
  const settled = await eventually(
    () => waybill.client.get(job.id),
    ({ attempts }) => attempts[0]?.status !== 'started',
  );
  expect(settled).toMatchObject({ status: 'cancelled', output: null, attempts: [{ n: 1, failure: null }] });
  expect(['aborted', 'superseded']).toContain(settled.attempts[0]?.status);
});

test('a finished job can neither be cancelled nor, when it succeeded, retried', async () => {
  const [good, bad] = [await submit('finished'), await submit('fail for good')];
  await Promise.all([final(good.id), final(bad.id)]);
  expect(await codeOf(waybill.client.cancel(good.id))).toBe('409 already_terminal');
  expect(await codeOf(waybill.client.cancel(bad.id))).toBe('409 already_terminal');
  expect(await codeOf(waybill.client.retry(good.id))).toBe('409 not_retryable');
  expect((await final(good.id)).status).toBe('succeeded');
});

test('a queued and a running job cannot be retried', async () => {
  const queued = await submit('later', { run_at: new Date(Date.now() + 60_000).toISOString() });
  const running = await submit('hang and retry');
  await calling('hang and retry');
  expect(await codeOf(waybill.client.retry(queued.id))).toBe('409 not_retryable');
  expect(await codeOf(waybill.client.retry(running.id))).toBe('409 not_retryable');
  await Promise.all([waybill.client.cancel(queued.id), waybill.client.cancel(running.id)]);
});

test('a retry of a failed job is a new run: a fresh deadline, attempts numbered on', async () => {
  const job = await submit('fail, then heal', { expires_in: '1h' });
  const failed = await final(job.id);
  expect(failed).toMatchObject({ status: 'failed', error: { kind: 'invalid_request' }, attempts: [{ n: 1, run: 1 }] });
  healed.add('fail, then heal');
  const retried = await waybill.client.retry(job.id);
  expect(retried).toMatchObject({ id: job.id, status: 'queued', error: null, started_at: null, finished_at: null });
  expect(Date.parse(retried.deadline_at)).toBeGreaterThan(Date.parse(job.deadline_at));
  const done = await final(job.id);
  expect(done).toMatchObject({ status: 'succeeded', output_text: 're: fail, then heal', error: null });
  expect(done.attempts.map(({ n, run, status }) => [n, run, status])).toEqual([
    [1, 1, 'failed'],
    [2, 2, 'succeeded'],
  ]);
});

test('a cancelled job can be retried, also at once after a running call was cut', async () => {
  const job = await submit('hang, cancel, retry');
  await calling('hang, cancel, retry');
  await waybill.client.cancel(job.id);
  expect(await waybill.client.retry(job.id)).toMatchObject({ status: 'queued', error: null });
  await eventually(
    () => seenBy(provider, 'hang, cancel, retry'),
    (seen) => seen.length === 2,
  );
  await waybill.client.cancel(job.id);
  const ended = await eventually(
    () => waybill.client.get(job.id),
    ({ attempts }) => attempts.length === 2 && attempts.every(({ status }) => status !== 'started'),
  );
  expect(ended.attempts.map(({ n, run }) => [n, run])).toEqual([
    [1, 1],
    [2, 2],
  ]);
});

test('run_at keeps a job until its time', async () => {
  const at = Date.now() + 3_000;
  const job = await submit('scheduled', { run_at: new Date(at).toISOString(), expires_in: '1h' });
  expect(job).toMatchObject({ run_at: new Date(at).toISOString(), waiting: { reason: 'schedule' } });
  expect(Date.parse(job.deadline_at), 'the deadline counts from then').toBe(at + 3_600_000);
  const done = await final(job.id);
  expect(done.status).toBe('succeeded');
  expect(Date.parse(done.started_at ?? '')).toBeGreaterThanOrEqual(at);
  expect(done.queue_ms, 'the time before run_at is not waiting').toBeLessThan(10_000);
});

test('a job that outlives expires_in expires, tells so, and can be retried', async () => {
  const job = await submit('hang until expired', { expires_in: '1s', webhook_url: `${receiver.url}/hook` });
  const expired = await final(job.id);
  expect(expired).toMatchObject({ status: 'expired', error: { kind: 'expired' }, output: null });
  const events = () => receiver.received.map(({ event }) => event).filter(({ data }) => data.id === job.id);
  await eventually(events, (all) => all.length > 0);
  expect(events()).toMatchObject([{ type: 'job.expired', data: { status: 'expired' } }]);
  expect(await waybill.client.retry(job.id)).toMatchObject({ status: 'queued', error: null });
  expect((await final(job.id)).status).toBe('expired');
  await eventually(events, (all) => all.length === 2);
});

test('interactive leaves the backlog before normal before bulk once a place comes free', async () => {
  const blocker = 'blocker';
  gates.set(blocker, Promise.withResolvers());
  const first = await submit(blocker, { model: 'narrow' });
  await calling(blocker, narrow);
  // The window of a target with one place holds two entries: what is in it already keeps its turn within its class.
  const interactive = { model: 'narrow', priority: 'interactive' };
  const window = [await submit('first', interactive), await submit('second', interactive)];
  const order = ['bulk', 'normal', 'bulk', 'interactive', 'normal', 'interactive'] as const;
  const jobs: JobJson[] = [];
  for (const [n, priority] of order.entries())
    jobs.push(await submit(`${priority} ${n}`, { model: 'narrow', priority }));
  expect((await waybill.client.get(jobs[3]?.id ?? '')).waiting).toMatchObject({ reason: 'turn', position: 1 });
  expect((await waybill.client.get(jobs[2]?.id ?? '')).waiting).toMatchObject({ position: 6 });
  gates.get(blocker)?.resolve(say('go'));
  await Promise.all([first, ...window, ...jobs].map((job) => final(job.id)));
  expect(narrow.requests.map((seen) => seen.prompt)).toEqual([
    ...[blocker, 'first', 'second'],
    ...['interactive 3', 'interactive 5', 'normal 1', 'normal 4', 'bulk 0', 'bulk 2'],
  ]);
  expect(Math.max(...narrow.requests.map((seen) => seen.open))).toBe(1);
});

test('the default webhook secret is stable, and signs as Standard Webhooks asks', async () => {
  const secret = await waybill.client.webhookSecret();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{64}$/);
  expect(await waybill.client.webhookSecret()).toBe(secret);
  const answer = await exchange(waybill.url, waybill.adminKey, { path: '/v1/webhook-endpoints/default' });
  expect(JSON.parse(answer.text)).toEqual({ id: 'default', object: 'webhook_endpoint', secret });
});

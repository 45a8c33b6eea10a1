/** Actions on many jobs, over HTTP and on the command line: what they do to calls, queues and providers. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Client, createClient, type JobActionBody } from '@waybill/producer/client/client.ts';
import type { JobJson } from '@waybill/producer/job-json.ts';
import type { JobActionJson } from '@waybill/producer/routes/job-actions.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { addApiKey, defaultTenantId, ensureTenant } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectRefusal } from '../support/bad-input.ts';
import { exchange } from '../support/http-exchange.ts';
import { type Reply, refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { type ScriptedReceiver, startScriptedReceiver } from '../support/scripted-receiver.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';
import { runCli, startCli } from '../support/waybill-process.ts';

let provider: ScriptedProvider;
let narrow: ScriptedProvider;
let receiver: ScriptedReceiver;
let waybill: TestWaybill;
let other: Client;
let readerKey: string;
/** What `narrow` answers, one call at a time. */
const gates = new Map<string, PromiseWithResolvers<Reply>>();

beforeAll(async () => {
  const wide = ({ prompt }: { prompt: string }): Reply => {
    if (prompt.startsWith('hang')) return { kind: 'hang' };
    return prompt.startsWith('fail') ? refuse(400) : say(`re: ${prompt}`);
  };
  provider = await startScriptedProvider(wide);
  narrow = await startScriptedProvider(({ prompt }) => gates.get(prompt)?.promise ?? say('from narrow'));
  receiver = await startScriptedReceiver();
  const preset = 'openai-compatible';
  waybill = await startWaybill({
    config: {
      providers: {
        wide: { preset, endpoints: [`${provider.url}/v1`] },
        narrow: { preset, endpoints: [`${narrow.url}/v1`], limits: { concurrency: 1 } },
      },
      chains: { default: { targets: ['wide/model-a'] }, narrow: { targets: ['narrow/model-n'] } },
    },
  });
  const { database } = waybill.server;
  const sealer = createSealer(Buffer.from(readFileSync(join(waybill.directory, 'master-key'), 'utf8'), 'base64'));
  await ensureTenant(database, sealer, 'ten_other', 'other');
  const key = await addApiKey(database, { tenantId: 'ten_other', name: 'test', scopes: ['jobs:write', 'jobs:read'] });
  other = createClient({ url: waybill.url, apiKey: key.text });
  readerKey = (await addApiKey(database, { tenantId: defaultTenantId, name: 'reader', scopes: ['jobs:read'] })).text;
});
afterAll(async () => {
  for (const gate of gates.values()) gate.resolve(say('late'));
  await waybill.stop();
  await Promise.all([provider.stop(), narrow.stop(), receiver.stop()]);
});

const act = (body: JobActionBody): Promise<JobActionJson> => waybill.client.act(body);
/** Request after request, as the cursor says. */
async function actOnAll(body: JobActionBody, between: () => Promise<unknown> = async () => undefined) {
  const answers: JobActionJson[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    if (answers.length > 0) await between();
    const answer = await act({ ...body, ...(cursor === undefined ? {} : { cursor }) });
    answers.push(answer);
    cursor = answer.next_cursor;
  }
  return answers;
}
const final = (id: string): Promise<JobJson> => whenFinal(waybill.client, id);
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
/** Jobs that stay queued, all of one mark. */
async function waiting(client: Client, mark: string, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1_000) {
    const line = { model: 'default', prompt: 'later', run_at: inAnHour(), metadata: { mark } };
    await client.submitMany(Array.from({ length: Math.min(left, 1_000) }, () => line));
  }
}
const countOf = async (mark: string): Promise<Record<string, number>> => {
  const { rows } = await waybill.server.database.pool.query(
    `select tenant_id || ' ' || status || case when paused_at is null then '' else ' paused' end as what, count(*)::int as n
     from waybill.jobs where metadata @> $1::jsonb group by 1`,
    [JSON.stringify({ mark })],
  );
  return Object.fromEntries(rows.map(({ what, n }) => [what, n]));
};

test('paused jobs leave the queue, running ones go on, and resumed ones run', async () => {
  gates.set('blocker', Promise.withResolvers());
  const mine = { model: 'narrow', metadata: { mark: 'pause' } };
  const called = () => narrow.requests.map(({ prompt }) => prompt).filter((prompt) => /block|pause/.test(prompt));
  const blocker = await waybill.client.submit({ ...mine, prompt: 'blocker' });
  await eventually(called, (seen) => seen.length === 1);
  // The window of a target with one place holds two entries: these are in the queue and in the backlog.
  const { data } = await waybill.client.submitMany(
    Array.from({ length: 6 }, (_, n) => ({ ...mine, prompt: `paused ${n}` })),
  );
  const filter = { target: 'narrow/model-n', metadata: mine.metadata };
  expect(await act({ action: 'pause', filter })).toEqual({
    ...{ object: 'job_action', action: 'pause', matched: 7, changed: 6, skipped: { in_progress: 1 } },
    ...{ is_complete: true, next_cursor: null },
  });
  expect(await act({ action: 'pause', filter })).toMatchObject({ changed: 0, skipped: { in_progress: 1, paused: 6 } });
  gates.get('blocker')?.resolve(say('done'));
  expect((await final(blocker.id)).status).toBe('succeeded');
  // One that comes now runs: whatever had been in the queue before it would have had its turn.
  const later = await waybill.client.submit({ ...mine, prompt: 'after the pause' });
  expect((await final(later.id)).status).toBe('succeeded');
  expect(called()).toEqual(['blocker', 'after the pause']);
  const paused = await waybill.client.get(data[0]?.id ?? '');
  expect(paused).toMatchObject({ status: 'queued', waiting: { reason: 'paused', until: null, position: null } });
  expect(await act({ action: 'resume', filter })).toMatchObject({ changed: 6, skipped: { succeeded: 2 } });
  for (const { id } of data) expect(await final(id)).toMatchObject({ status: 'succeeded', attempts: [{ n: 1 }] });
  expect(called().length, 'each was called once').toBe(8);
});

test('a paused job expires at its deadline', async () => {
  const job = await waybill.client.submit({ model: 'default', prompt: 'late', run_at: inAnHour() });
  expect(await act({ action: 'pause', filter: { ids: [job.id] } })).toMatchObject({ changed: 1 });
  await waybill.server.database.pool.query(
    `update waybill.jobs set deadline_at = now() - interval '1 second' where id = $1`,
    [job.id],
  );
  expect(await final(job.id)).toMatchObject({ status: 'expired', attempts: [] });
  expect(await act({ action: 'resume', filter: { ids: [job.id] } })).toMatchObject({ skipped: { expired: 1 } });
});

test('2,500 jobs are cancelled over several requests, whatever comes meanwhile, and no job of another tenant', async () => {
  await Promise.all([waiting(waybill.client, 'many', 2_500), waiting(other, 'many', 3)]);
  const body = { action: 'cancel', filter: { metadata: { mark: 'many' } }, limit: 700 } as const;
  const answers = await actOnAll(body, () => waiting(waybill.client, 'many', 1));
  expect(answers.map(({ matched, changed }) => [matched, changed])).toEqual([
    ...[1, 2, 3].map(() => [700, 700]),
    [400, 400],
  ]);
  expect(await countOf('many')).toEqual({
    ...{ [`${defaultTenantId} cancelled`]: 2_500, [`${defaultTenantId} queued`]: 3, 'ten_other queued': 3 },
  });
  const again = await act({ ...body, limit: 10_000 });
  expect(again).toMatchObject({ matched: 2_503, changed: 3, skipped: { cancelled: 2_500 }, is_complete: true });
});

test('a cursor is good for its own request and tenant only; sent twice it changes nothing twice', async () => {
  await waiting(waybill.client, 'cursor', 6);
  const body = { action: 'pause', filter: { metadata: { mark: 'cursor' } }, limit: 2 } as const;
  const cursor = (await act(body)).next_cursor ?? '';
  expect(await act({ ...body, cursor })).toMatchObject({ changed: 2 });
  expect(await act({ ...body, cursor })).toMatchObject({ changed: 0, skipped: { paused: 2 } });
  const refused = [
    waybill.client.act({ ...body, action: 'cancel', cursor }),
    waybill.client.act({ ...body, filter: { all: true }, cursor }),
    waybill.client.act({ ...body, cursor: `${cursor.slice(0, -1)}-` }),
    other.act({ ...body, cursor }),
  ];
  for (const each of refused) await expect(each).rejects.toMatchObject({ status: 400, code: 'invalid_cursor' });
  expect(await countOf('cursor')).toEqual({
    ...{ [`${defaultTenantId} queued paused`]: 4, [`${defaultTenantId} queued`]: 2 },
  });
});

test('cancelling by batch closes running calls and tells the receiver of each job once', async () => {
  const hook = { webhook_url: `${receiver.url}/hook` };
  const { batch_id: batchId, data } = await waybill.client.submitMany([
    { model: 'default', prompt: 'hang one', ...hook },
    { model: 'default', prompt: 'later', run_at: inAnHour(), ...hook },
    { model: 'default', prompt: 'quick' },
  ]);
  const [hanging, scheduled, quick] = data;
  const [call] = await eventually(
    () => provider.requests.filter(({ prompt }) => prompt === 'hang one'),
    (seen) => seen.length > 0,
  );
  await final(quick?.id ?? '');
  const filter = { batch_id: batchId };
  expect(await act({ action: 'cancel', filter })).toMatchObject({ matched: 3, changed: 2, skipped: { succeeded: 1 } });
  await eventually(
    () => call?.isClosedEarly,
    (isClosed) => isClosed === true,
  );
  const told = () => receiver.received.map(({ event }) => event).filter(({ type }) => type === 'job.cancelled');
  await eventually(told, (events) => events.length >= 2);
  expect(await act({ action: 'cancel', filter })).toMatchObject({ changed: 0 });
  const ids = [hanging?.id, scheduled?.id];
  expect(
    told()
      .map(({ data: { id } }) => id)
      .toSorted(),
  ).toEqual(ids.toSorted());
});

test('failed jobs are retried on another chain; those it cannot serve stay failed, with the reason', async () => {
  const { batch_id: batchId, data } = await waybill.client.submitMany([
    { model: 'default', prompt: 'fail one' },
    { model: 'default', prompt: 'fail two', exclude_providers: ['narrow'] },
    { model: 'default', prompt: 'fine' },
  ]);
  for (const { id } of data) await final(id);
  const filter = { batch_id: batchId, error_kind: 'invalid_request' };
  const unknown = act({ action: 'retry', filter, model: 'narow' });
  await expect(unknown).rejects.toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
  const answer = await act({ action: 'retry', filter, model: 'narrow' });
  expect(answer).toMatchObject({ matched: 2, changed: 1, skipped: { no_eligible_target: 1 } });
  const [first, second] = data.map(({ id }) => id);
  expect(await final(first ?? '')).toMatchObject({
    ...{ status: 'succeeded', model: 'narrow', target: 'narrow/model-n', output_text: 'from narrow' },
    attempts: [
      { n: 1, run: 1, target: 'wide/model-a' },
      { n: 2, run: 2, target: 'narrow/model-n' },
    ],
  });
  expect(await waybill.client.get(second ?? '')).toMatchObject({ status: 'failed', model: 'default' });
  // One alone says it as an error.
  const alone = (model: string) => waybill.client.retry(second ?? '', { model });
  await expect(alone('narrow')).rejects.toMatchObject({ status: 400, code: 'no_eligible_target' });
  await expect(alone('nobody/x')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  expect(await alone('wide/model-b')).toMatchObject({
    status: 'queued',
    model: 'wide/model-b',
    target: 'wide/model-b',
  });
  expect(await final(second ?? '')).toMatchObject({ status: 'failed', attempts: [{ n: 1 }, { n: 2, run: 2 }] });
});

test.for<[name: string, body: unknown, code: string]>([
  ['an empty filter', { action: 'cancel', filter: {} }, 'invalid_value'],
  ['no filter', { action: 'cancel' }, 'invalid_type'],
  ['an unknown field', { action: 'cancel', filter: { state: 'queued' } }, 'unknown_field'],
  ['a list', [], 'body_must_be_object'],
  ['no body', undefined, 'body_required'],
  ['a cursor of nobody', { action: 'cancel', filter: { all: true }, cursor: 'abc' }, 'invalid_cursor'],
])('%s is refused', async ([, body, code]) => {
  expectRefusal(
    await exchange(waybill.url, waybill.adminKey, { path: '/v1/jobs/actions', method: 'POST', body }),
    400,
    code,
  );
});

test('it takes a key that may write, and POST alone', async () => {
  const request = { path: '/v1/jobs/actions', body: { action: 'cancel', filter: { all: true } } };
  expectRefusal(await exchange(waybill.url, readerKey, request), 403, 'insufficient_scope');
  expectRefusal(await exchange(waybill.url, waybill.adminKey, { path: '/v1/jobs/actions' }), 405, 'method_not_allowed');
});

test('ids that are none of the tenant are counted, and those of others stay as they are', async () => {
  const [mine, foreign] = await Promise.all(
    [waybill.client, other].map((client) => client.submit({ model: 'default', prompt: 'later', run_at: inAnHour() })),
  );
  const ids = [mine?.id, foreign?.id, 'job_nobody'];
  expect(await act({ action: 'cancel', filter: { ids } })).toMatchObject({
    ...{ matched: 1, changed: 1, skipped: { not_found: 2 }, is_complete: true },
  });
  expect(await other.get(foreign?.id ?? '')).toMatchObject({ status: 'queued' });
});

describe('the command line', () => {
  const cli = (args: readonly string[], url = waybill.url) =>
    runCli(['jobs', ...args], { environment: { WAYBILL_URL: url, WAYBILL_API_KEY: waybill.adminKey } });

  test.for(['cancel', 'retry', 'pause', 'resume'])('--help of jobs %s shows examples', async (action) => {
    const { code, stdout } = await cli([action, '--help']);
    expect([code, /\nExamples:\n {2}waybill/.test(stdout)]).toEqual([0, true]);
  });

  test.for<[args: string[], message: string]>([
    [['pause'], 'by their ids or by a filter'],
    [['cancel', 'job_x', '--all'], 'not both'],
    [['cancel', '--all'], 'add --yes'],
    [['cancel', '--metadata', 'team', '--yes'], 'write key=value'],
    [['cancel', '--set-model', 'x', '--all', '--yes'], '--set-model'],
  ])('%j is wrong usage', async ([args, message]) => {
    const result = await cli(args);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(message);
  });

  test('pauses, resumes and cancels by filter, and says what it did', async () => {
    await waiting(waybill.client, 'cli', 3);
    const filter = ['--metadata', 'mark=cli', '--yes'];
    expect(await cli(['pause', ...filter])).toMatchObject({ code: 0, stdout: 'Paused 3 of 3 jobs\n' });
    expect(await cli(['resume', ...filter])).toMatchObject({ code: 0, stdout: 'Resumed 3 of 3 jobs\n' });
    const { stdout } = await cli(['cancel', ...filter, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ object: 'job_action', changed: 3, is_complete: true });
    const again = await cli(['pause', ...filter, '--status', 'cancelled', '--older-than', '0s']);
    expect(again.stdout).toBe('Paused 0 of 3 jobs; left as they are: 3 cancelled\n');
  });

  test('pauses, resumes and retries by id', async () => {
    const { id } = await waybill.client.submit({ model: 'default', prompt: 'fail here', run_at: inAnHour() });
    expect(await cli(['pause', id])).toMatchObject({ code: 0, stdout: `${id}  paused\n` });
    expect(await cli(['pause', id]), 'pausing twice is fine').toMatchObject({ code: 0 });
    expect(await cli(['resume', id])).toMatchObject({ code: 0, stdout: `${id}  queued\n` });
    await waybill.client.cancel(id);
    const refused = await cli(['pause', id]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('it is cancelled; only queued')]);
    const other = await waybill.client.submit({ model: 'default', prompt: 'later', run_at: inAnHour() });
    const half = await cli(['pause', other.id, id, '--json']);
    expect([half.code, JSON.parse(half.stdout)]).toMatchObject([
      1,
      { object: 'list', data: [{ id: other.id, waiting: { reason: 'paused' } }], error: { code: 'already_terminal' } },
    ]);
    expect((await cli(['pause', 'job_nothing'])).stderr).toContain('(not_found');
    const { stdout } = await cli(['retry', id, '--set-model', 'narrow', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ data: [{ id, model: 'narrow', status: 'queued' }] });
    expect((await final(id)).status).toBe('succeeded');
  });

  /** A server that answers one request after the other as the test says. */
  async function standIn(answer: (seen: number) => Promise<[status: number, body: object]>) {
    const cursors: unknown[] = [];
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      cursors.push((JSON.parse(Buffer.concat(chunks).toString()) as { cursor?: string }).cursor ?? null);
      const [status, body] = await answer(cursors.length);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { url, cursors, stop: () => new Promise((resolve) => server.close(resolve)) };
  }
  const part = (cursor: string | null) => ({
    ...{ object: 'job_action', action: 'cancel', matched: 10, changed: 9, skipped: { busy: 1 } },
    ...{ is_complete: cursor === null, next_cursor: cursor },
  });

  test('Ctrl-C stops between two requests, and says what was done', async () => {
    const isAsked = Promise.withResolvers<void>();
    // There is no end of it but the signal.
    const server = await standIn(async (seen) => {
      isAsked.resolve();
      return [200, part(`cursor ${seen}`)];
    });
    const running = startCli(['jobs', 'cancel', '--all', '--yes', '--json'], {
      environment: { WAYBILL_URL: server.url, WAYBILL_API_KEY: 'wb_test' },
    });
    await isAsked.promise;
    running.child.kill('SIGINT');
    expect(await running.ended).toMatchObject({ code: 130 });
    const seen = server.cursors.length;
    expect(JSON.parse(running.stdout())).toMatchObject({
      ...{ matched: 10 * seen, changed: 9 * seen, skipped: { busy: seen } },
      ...{ is_complete: false, next_cursor: `cursor ${seen}` },
    });
    expect(running.stderr()).toContain('the same command goes on');
    expect(server.cursors).toEqual([null, ...server.cursors.slice(1).map((_, n) => `cursor ${n + 1}`)]);
    await server.stop();
  });

  test('what was done is said also when a later request fails', async () => {
    const error = { error: { message: 'Cannot go on', code: 'storage_unavailable', request_id: 'req_1' } };
    const server = await standIn(async (seen) => (seen === 1 ? [200, part('one')] : [503, error]));
    const result = await cli(['cancel', '--all', '--yes'], server.url);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('Before it failed: Cancelled 9 of 10 jobs; left as they are: 1 busy');
    expect(result.stderr).toContain('storage_unavailable');
    await server.stop();
  });
});

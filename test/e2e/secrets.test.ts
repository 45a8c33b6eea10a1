/**
 * Canaries: a credential, API keys, prompts and outputs with unique marks go through successes and failures, and then
 * every log line, table, error, dashboard and file is searched for them.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ApiError } from '@waybill/producer/client/client.ts';
import type { JobJson } from '@waybill/producer/job-json.ts';
import { addApiKey, defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Reply,
  refuse,
  type ScriptedProvider,
  type SeenRequest,
  say,
  startScriptedProvider,
} from '../support/scripted-provider.ts';
import { answer, type ScriptedReceiver, startScriptedReceiver } from '../support/scripted-receiver.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

const credential = 'sk-canarycredential-1f7e93bd55aa';
const promptMark = 'canaryprompt-c0ffee77';
const outputMark = 'canaryoutput-deadbea7';
const fromEnvironment = 'sk-canaryenvironment-90ab12cd';

let waybill: TestWaybill;
let provider: ScriptedProvider;
let receiver: ScriptedReceiver;
let apiKey: string;
const finished: JobJson[] = [];
/** Everything the API answered with an error. */
const refusals: string[] = [];

/** What a careless provider does: it answers with what it was sent. */
const echo = (request: SeenRequest) =>
  `Incorrect API key provided: ${credential}. ${String(request.headers.authorization)} You said: ${request.prompt}`;

const replies: Record<string, (request: SeenRequest) => Reply> = {
  answer: () => say(`here you are: ${outputMark}`),
  unauthorized: (request) =>
    refuse(401, { error: { message: echo(request), type: 'invalid_request_error', code: 'x' } }),
  invalid: (request) => refuse(400, { error: { message: echo(request), type: echo(request), code: request.prompt } }),
  broken: (request) => refuse(500, { error: echo(request) }),
  text: (request) => ({ kind: 'raw', status: 500, contentType: 'text/plain', body: echo(request) }),
  page: (request) => ({ kind: 'raw', contentType: 'text/html', body: `<html>${echo(request)}</html>` }),
  junk: (request) => ({ kind: 'raw', body: `{"choices": "${outputMark} ${echo(request)}"}` }),
  cut: (request) => ({ kind: 'raw', body: `{"error": {"message": "${request.prompt}` }),
  wrapped: (request) => ({ kind: 'raw', body: JSON.stringify({ error: { message: echo(request), code: 'oops' } }) }),
  limited: (request) => refuse(403, { error: { message: echo(request) } }, { 'x-request-id': 'fine' }),
  reset: () => ({ kind: 'reset' }),
};
const cases = Object.keys(replies);

beforeAll(async () => {
  provider = await startScriptedProvider((request) => {
    const name = String(request.body.model);
    return replies[name]?.(request) ?? refuse(404);
  });
  receiver = await startScriptedReceiver(() => answer(500));
  const one = (base: string, key: object) => ({ preset: 'openai-compatible', base_url: base, ...key });
  waybill = await startWaybill({
    environment: { OTHER_CREDENTIAL: fromEnvironment },
    config: {
      // One provider per case: a refused credential pauses its provider for the others.
      providers: Object.fromEntries(
        cases.map((name, index) => [
          name,
          one(
            `${provider.url}/v1`,
            index % 2 === 0 ? { api_key: credential } : { credentials: [{ env: 'OTHER_CREDENTIAL' }] },
          ),
        ]),
      ),
      chains: Object.fromEntries(
        cases.map((name) => [name, { targets: [`${name}/${name}`], same_target_retries: 0, max_attempts: 1 }]),
      ),
    },
  });
  apiKey = (
    await addApiKey(waybill.server.database, {
      tenantId: defaultTenantId,
      name: 'canary',
      scopes: ['jobs:read', 'jobs:write', 'webhooks:read'],
    })
  ).text;
  await runJobs();
  await provokeRefusals();
});

afterAll(async () => {
  await waybill?.stop();
  await Promise.all([provider?.stop(), receiver?.stop()]);
});

async function runJobs(): Promise<void> {
  for (const name of cases) {
    const { id } = await waybill.client.submit({
      model: name,
      prompt: `${promptMark} for ${name}`,
      // A pause makes a job wait for its provider; it need not wait for long here.
      expires_in: '20s',
      webhook_url: receiver.url,
    });
    const job = await eventually(
      () => waybill.client.get(id),
      ({ status, attempts }) =>
        ['succeeded', 'failed', 'expired'].includes(status) || attempts.some((attempt) => attempt.status === 'failed'),
    );
    finished.push(['succeeded', 'failed', 'expired'].includes(job.status) ? job : await cancelled(id));
  }
  await eventually(
    () => receiver.received.length,
    (count) => count === cases.length,
  );
}

async function cancelled(id: string): Promise<JobJson> {
  await waybill.client.cancel(id);
  return whenFinal(waybill.client, id);
}

async function provokeRefusals(): Promise<void> {
  const post = (body: string, headers: Record<string, string> = {}) =>
    fetch(`${waybill.url}/v1/jobs`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', ...headers },
      body,
    });
  const answers = [
    await post(`{"model":"answer","prompt":"${promptMark}", oops}`),
    await post(`{"model":"answer","prompt":"${promptMark}"`),
    await post(JSON.stringify({ model: 'answer', prompt: promptMark, priority: 'highest' })),
    await post(JSON.stringify({ model: 'nobody', prompt: promptMark })),
    await post(JSON.stringify({ body: { model: 'answer', messages: [{ role: promptMark, content: promptMark }] } })),
    await post(JSON.stringify({ model: 'answer', prompt: [promptMark] })),
    await post(JSON.stringify({ model: 'answer', prompt: promptMark, webhook_url: 'ftp://x.example' })),
    await post(JSON.stringify({ model: 'answer', prompt: 'x' }), { authorization: `Bearer ${credential}` }),
    await post(JSON.stringify({ model: 'answer', prompt: 'x' }), { authorization: `Bearer ${apiKey}x` }),
    await fetch(`${waybill.url}/admin/queues/`, {
      headers: { authorization: `Basic ${Buffer.from(`me:${credential}`).toString('base64')}` },
    }),
  ];
  for (const response of answers) {
    expect(response.status).toBeGreaterThanOrEqual(400);
    refusals.push(`${JSON.stringify([...response.headers])} ${await response.text()}`);
  }
}

/** A mark as it may stand in a dump: as text, in hexadecimal, or in base64 at any of its three offsets. */
function formsOf(mark: string): string[] {
  const base64 = [0, 1, 2].map((offset) =>
    Buffer.from(`${'\0'.repeat(offset)}${mark}`)
      .toString('base64')
      .slice(offset === 0 ? 0 : offset + 1)
      .replace(/..=*$/, ''),
  );
  return [mark, Buffer.from(mark).toString('hex'), ...base64];
}

const holds = (text: string, mark: string): boolean => formsOf(mark).some((form) => text.includes(form));

async function tables(): Promise<string[]> {
  const { rows } = await waybill.server.database.pool.query(
    `select table_schema || '.' || table_name as name from information_schema.tables
     where table_schema in ('waybill', 'bullmq', 'coordination') and table_type = 'BASE TABLE'`,
  );
  return rows.map((row) => String(row.name));
}

/** Every row of a table as text; `bytea` comes out in hexadecimal. */
async function dump(table: string): Promise<string[]> {
  const { rows } = await waybill.server.database.pool.query(`select t::text as row from ${table} t`);
  return rows.map((row) => String(row.row));
}

async function tablesWith(mark: string): Promise<string[]> {
  const found: string[] = [];
  for (const table of await tables()) if ((await dump(table)).some((row) => holds(row, mark))) found.push(table);
  return found;
}

test('the jobs ran as scripted, so that there was something to leak', async () => {
  const statusOf = Object.fromEntries(finished.map((job) => [job.model, job.attempts[0]?.failure?.kind ?? job.status]));
  expect(statusOf).toMatchObject({ answer: 'succeeded', unauthorized: 'auth', invalid: 'invalid_request' });
  expect(Object.values(statusOf).filter((kind) => kind === 'succeeded')).toHaveLength(1);
  expect(finished.find((job) => job.status === 'succeeded')?.output_text).toContain(outputMark);
  expect(provider.requests.some((request) => request.headers.authorization === `Bearer ${credential}`)).toBe(true);
  expect(provider.requests.some((request) => request.headers.authorization === `Bearer ${fromEnvironment}`)).toBe(true);
  expect((await tables()).length).toBeGreaterThan(12);
});

test('no log line holds a credential, an API key, a prompt or an output', () => {
  const log = waybill.log.join('');
  expect(log.length).toBeGreaterThan(0);
  for (const mark of [credential, fromEnvironment, apiKey, waybill.adminKey, promptMark, outputMark])
    expect(waybill.log.filter((line) => holds(line, mark))).toEqual([]);
});

test('no table holds a credential or an API key, in any form', async () => {
  for (const mark of [credential, fromEnvironment, apiKey, waybill.adminKey])
    expect(await tablesWith(mark), mark.slice(0, 10)).toEqual([]);
  const secretPart = apiKey.slice('wb_0123456789abcdef_'.length, -8);
  expect(await tablesWith(secretPart)).toEqual([]);
});

test('prompts and outputs stand in one table alone', async () => {
  expect(await tablesWith(promptMark)).toEqual(['waybill.payloads']);
  expect(await tablesWith(outputMark)).toEqual(['waybill.payloads']);
});

test('the search finds what is there', async () => {
  expect(await tablesWith(finished[0]?.id ?? '')).toEqual(
    expect.arrayContaining(['waybill.jobs', 'waybill.attempts', 'bullmq.job', 'waybill.webhook_deliveries']),
  );
  expect(holds(`\\x${Buffer.from(`ab${promptMark}cd`).toString('hex')}`, promptMark)).toBe(true);
  for (const before of ['', 'a', 'ab'])
    expect(holds(Buffer.from(`${before}${promptMark}cd`).toString('base64'), promptMark)).toBe(true);
});

test("what a provider said is not repeated in a job's errors, webhooks or warnings", () => {
  for (const job of finished) {
    const text = JSON.stringify({ ...job, output: null, output_text: null });
    for (const mark of [credential, fromEnvironment, promptMark, outputMark]) expect(holds(text, mark)).toBe(false);
  }
  for (const { body, headers } of receiver.received)
    for (const mark of [credential, fromEnvironment, promptMark, outputMark, apiKey])
      expect(holds(`${body} ${JSON.stringify(headers)}`, mark)).toBe(false);
});

test('an error of the API repeats neither the prompt nor a key', () => {
  expect(refusals).toHaveLength(10);
  for (const text of refusals)
    for (const mark of [credential, apiKey, promptMark, 'canary']) expect(holds(text, mark), text).toBe(false);
});

test('an error of the client keeps the key to itself', async () => {
  const error = await waybill.client.get('job_nothing').catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(ApiError);
  expect(JSON.stringify(error)).not.toContain(waybill.adminKey);
  expect(String((error as Error).stack)).not.toContain(waybill.adminKey);
});

test('Bull Board shows none of them', async () => {
  for (const name of [...cases, 'waybill-webhooks'])
    for (const status of ['completed', 'failed', 'delayed', 'wait']) {
      const response = await fetch(
        `${waybill.url}/admin/queues/api/queues?activeQueue=${name}&status=${status}&jobsPerPage=100`,
        { headers: { authorization: `Basic ${Buffer.from(`me:${waybill.adminKey}`).toString('base64')}` } },
      );
      const text = await response.text();
      for (const mark of [credential, fromEnvironment, apiKey, promptMark, outputMark])
        expect(holds(text, mark), `${name} ${status}`).toBe(false);
    }
});

test('no file of the data directory holds a credential; keys lie in files of their own', async () => {
  await waybill.server.database.pool.query('checkpoint');
  const files = (await readdir(waybill.directory, { recursive: true, withFileTypes: true })).filter((file) =>
    file.isFile(),
  );
  const holders = new Map<string, string[]>();
  for (const file of files) {
    const bytes = await readFile(join(file.parentPath, file.name));
    for (const mark of [credential, fromEnvironment, apiKey, waybill.adminKey])
      if (bytes.includes(mark)) holders.set(mark, [...(holders.get(mark) ?? []), file.name]);
  }
  expect([...holders]).toEqual([[waybill.adminKey, ['admin-key']]]);
});

/** The command as people use it: files in, answers out, and what it says to the shell. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobJson } from '@waybill/producer/job-json.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bareEnvironment } from '../support/bare-environment.ts';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { answer, startScriptedReceiver } from '../support/scripted-receiver.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';
import { type CommandResult, cliPath, runCli, startCli } from '../support/waybill-process.ts';

let waybill: TestWaybill;
let provider: ScriptedProvider;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waybill-cli-'));
  provider = await startScriptedProvider((request) => {
    if (request.body.model === 'hang') return { kind: 'hang' };
    if (request.body.model === 'fail') return refuse(400);
    return say(request.prompt.startsWith('colour') ? '\u001b[31mred\u001b[0m\u202eend' : `re: ${request.prompt}`);
  });
  waybill = await startWaybill({
    config: {
      providers: { one: { preset: 'openai-compatible', base_url: `${provider.url}/v1` } },
      chains: { default: { targets: ['one/m'] } },
    },
  });
});

afterAll(async () => {
  await waybill?.stop();
  await provider?.stop();
  await rm(directory, { recursive: true, force: true });
});

const environment = () => ({ WAYBILL_URL: waybill.url, WAYBILL_API_KEY: waybill.adminKey });
const cli = (args: readonly string[], input?: string | Buffer): Promise<CommandResult> =>
  runCli(args, { environment: environment(), cwd: directory, ...(input === undefined ? {} : { input }) });

/** `$0 $1` is the command. Not `spawnSync`: the server runs in this process. */
function inShell(script: string): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(
      'bash',
      ['-c', script, process.execPath, cliPath],
      { env: bareEnvironment(environment()) },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

async function file(name: string, lines: readonly unknown[]): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return path;
}

interface Report {
  readonly jobs: number;
  readonly batch_ids: readonly [string, ...string[]];
  readonly counts: Record<string, number> | null;
}
const reportOf = (result: CommandResult): Report => JSON.parse(result.stdout) as Report;
const jobsOf = async (batchId: string): Promise<JobJson[]> =>
  (await waybill.client.list({ batch_id: batchId, limit: '100' })).data.toReversed();

describe('--help', () => {
  const commands = [
    'up',
    'api',
    'worker',
    'dashboards',
    'migrate',
    'demo',
    'enqueue',
    'jobs get',
    'jobs list',
    'jobs cancel',
    'jobs retry',
    'webhooks secret',
  ];
  test.for([...commands, ''])('of "waybill %s" shows examples', async (command) => {
    const result = await cli([...command.split(' ').filter((word) => word !== ''), '--help']);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toMatch(/^Usage: waybill/);
    expect(result.stdout).toMatch(/\nExamples?:\n {2}\S/);
  });

  test('the list of commands names every command of the design; later ones say so', async () => {
    const { stdout } = await cli(['--help']);
    const names = [
      'up',
      'api',
      'worker',
      'dashboards',
      'migrate',
      'demo',
      'enqueue',
      'jobs',
      'webhooks',
      'batch',
      'costs',
    ];
    for (const name of names) expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    const later = await cli(['batch', '--json']);
    expect(later.code).toBe(78);
    expect(JSON.parse(later.stdout)).toMatchObject({ error: { code: 'not_supported_yet' } });
  });

  test('--version prints the version alone', async () => {
    expect(await cli(['--version'])).toMatchObject({ code: 0, stderr: '', stdout: '0.1.0\n' });
  });
});

// Most of the time goes by in waiting for jobs and for the next look at them.
describe.concurrent('enqueue', () => {
  test('takes an OpenAI batch file as it is', async () => {
    const path = await file(
      'batch.jsonl',
      ['a', 'b', 'c'].map((id) => ({
        custom_id: id,
        method: 'POST',
        url: '/v1/chat/completions',
        body: { model: 'default', messages: [{ role: 'user', content: `ask ${id}` }], max_tokens: 20 },
      })),
    );
    const result = await cli(['enqueue', path, '--json']);
    expect(result.code).toBe(0);
    const report = reportOf(result);
    expect(report).toMatchObject({ jobs: 3, counts: { succeeded: 3 } });
    const jobs = await jobsOf(report.batch_ids[0]);
    expect(jobs.map((job) => [job.custom_id, job.output_text])).toEqual([
      ['a', 're: ask a'],
      ['b', 're: ask b'],
      ['c', 're: ask c'],
    ]);
  });

  test('takes job objects, and fills in what the flags say where a line says nothing', async () => {
    const receiver = await startScriptedReceiver(() => answer(204));
    try {
      const path = await file('jobs.jsonl', [
        { custom_id: 'own', model: 'one/m', prompt: 'x', priority: 'interactive', metadata: { team: 'cli' } },
        { custom_id: 'filled', model: 'default', prompt: 'y' },
      ]);
      const result = await cli(['enqueue', path, '--json', '--priority', 'bulk', '--webhook-url', receiver.url]);
      const jobs = await jobsOf(reportOf(result).batch_ids[0]);
      expect(jobs.map((job) => [job.custom_id, job.priority, job.metadata])).toEqual([
        ['own', 'interactive', { team: 'cli' }],
        ['filled', 'bulk', {}],
      ]);
      await eventually(
        () => receiver.received.length,
        (count) => count === 2,
      );
    } finally {
      await receiver.stop();
    }
  });

  test('takes plain prompts from standard input, and writes the answers to a file', async () => {
    const output = join(directory, 'answers.jsonl');
    const result = await cli(['enqueue', '-', '--output', output], 'Say hello.\nSay goodbye.\n');
    expect(result).toMatchObject({ code: 0, stdout: `2 jobs: 2 succeeded; answers in ${output}\n` });
    const answers = (await readFile(output, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(answers.map((each) => each.output_text).toSorted()).toEqual(['re: Say goodbye.', 're: Say hello.']);
    for (const each of answers)
      expect(Object.keys(each)).toEqual([
        'custom_id',
        'id',
        'status',
        'target',
        'output_text',
        'usage',
        'cost_usd',
        'error',
      ]);
  });

  test('takes prompts that begin like JSON when told that they are prompts', async () => {
    const result = await cli(['enqueue', '-', '--format', 'prompts', '--json'], '[INST] hello\n{not json\n');
    expect(result.code).toBe(0);
    const jobs = await jobsOf(reportOf(result).batch_ids[0]);
    expect(jobs.map((job) => job.output_text)).toEqual(['re: [INST] hello', 're: {not json']);
  });

  test('takes a pipe that has a path', async () => {
    const { code, stdout } = await inShell(`"$0" "$1" enqueue <(echo hello) --json`);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ jobs: 1, counts: { succeeded: 1 } });
  });

  test('--no-wait returns when the jobs are stored, and says how to watch them', async () => {
    const path = await file('slow.jsonl', [{ model: 'one/hang', prompt: 'x' }]);
    const json = reportOf(await cli(['enqueue', path, '--no-wait', '--json']));
    expect(json).toMatchObject({ jobs: 1, counts: null });
    const plain = await cli(['enqueue', path, '--no-wait']);
    expect(plain.stdout).toMatch(
      /^1 jobs stored in batch_[0-9a-f]{32}\. Watch them with: waybill jobs list --batch batch_/,
    );
    for (const job of await jobsOf(json.batch_ids[0])) await waybill.client.cancel(job.id);
  });

  test('the same file with the same --idempotency-key is stored once', async () => {
    const path = await file('once.txt', ['one', 'two']);
    const args = ['enqueue', path, '--json', '--idempotency-key', 'the-same'];
    const [first, second] = [reportOf(await cli(args)), reportOf(await cli(args))];
    expect(second).toEqual(first);
    expect(await jobsOf(first.batch_ids[0])).toHaveLength(2);
    await file('once.txt', ['one', 'other']);
    const reused = await cli(args);
    expect(reused.code).toBe(1);
    expect(JSON.parse(reused.stdout)).toMatchObject({ error: { code: 'idempotency_key_reused' } });
  });

  test('exits with 1 when a job failed, and says how many', async () => {
    const path = await file('mixed.jsonl', [
      { model: 'one/fail', prompt: 'x' },
      { model: 'default', prompt: 'y' },
    ]);
    const result = await cli(['enqueue', path]);
    expect(result.code).toBe(1);
    expect(result.stdout).toMatch(/^2 jobs: (1 failed, 1 succeeded|1 succeeded, 1 failed)\n$/);
  });

  test('Ctrl-C ends the watching alone, and says how to come back', async () => {
    const path = await file('endless.jsonl', [{ model: 'one/hang', prompt: 'x' }]);
    const running = startCli(['enqueue', path], { environment: environment() });
    await eventually(running.stderr, (text) => /running 1/.test(text));
    running.child.kill('SIGINT');
    expect(await running.ended).toEqual({ code: 130, signal: null });
    const batchId = /waybill jobs list --batch (batch_[0-9a-f]{32})/.exec(running.stderr())?.[1] ?? '';
    expect(running.stderr()).toContain('the jobs go on');
    const [job] = await jobsOf(batchId);
    expect(job?.status).toBe('in_progress');
    await waybill.client.cancel(job?.id ?? '');
  });

  test('Ctrl-C while sending says how to go on without sending anything twice', async () => {
    let requests = 0;
    const deaf = await startScriptedReceiver(() => () => {
      requests += 1;
    });
    try {
      const running = startCli(['enqueue', await file('sent.txt', ['x']), '--idempotency-key', 'k1'], {
        environment: { ...environment(), WAYBILL_URL: `http://127.0.0.1:${deaf.port}` },
      });
      await eventually(
        () => requests,
        (count) => count === 1,
      );
      running.child.kill('SIGINT');
      expect(await running.ended).toEqual({ code: 130, signal: null });
      expect(running.stderr()).toContain('--idempotency-key k1');
    } finally {
      await deaf.stop();
    }
  });
});

describe('jobs', () => {
  let done: JobJson;
  let failed: JobJson;
  beforeAll(async () => {
    const submit = async (job: object) =>
      whenFinal(waybill.client, (await waybill.client.submit({ model: 'default', ...job })).id);
    done = await submit({ prompt: 'colour', custom_id: 'doc-17', metadata: { team: 'search' } });
    failed = await submit({ model: 'one/fail', prompt: 'x' });
  });

  test('get shows the job, its attempts, its cost and its answer', async () => {
    const { code, stdout, stderr } = await cli(['jobs', 'get', done.id, '--wait', '5s']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`${done.id}  succeeded  doc-17`);
    expect(stdout).toMatch(/^1\b.*one\/m +succeeded/m);
    const told = await cli(['jobs', 'get', failed.id]);
    expect(told.stdout).toMatch(/^error +invalid_request: one\/fail: HTTP 400/m);
  });

  test('get escapes terminal codes and marks that turn text around, unless --raw', async () => {
    const escaped = await cli(['jobs', 'get', done.id]);
    expect(escaped.stdout).toContain('\\x1b[31mred\\x1b[0m\\x202eend');
    for (const code of ['\u001b', '\u202e']) expect(escaped.stdout).not.toContain(code);
    expect((await cli(['jobs', 'get', done.id, '--raw'])).stdout).toContain('\u001b[31mred\u001b[0m\u202eend');
  });

  test('get --json prints the job of the API', async () => {
    const { code, stdout } = await cli(['jobs', 'get', done.id, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(await waybill.client.get(done.id));
  });

  test('list filters, and goes on page by page', async () => {
    const found = await cli(['jobs', 'list', '--custom-id', 'doc-17', '--metadata', 'team=search', '--json']);
    expect((JSON.parse(found.stdout) as { data: JobJson[] }).data.map((job) => job.id)).toEqual([done.id]);
    const page = await cli(['jobs', 'list', '--limit', '1']);
    expect(page.stdout).toMatch(/^id +status +target +attempts +cost \$ +custom_id\njob_/);
    const cursor = /^More: (--cursor=\S+)$/m.exec(page.stdout)?.[1] ?? '';
    const next = await cli(['jobs', 'list', '--limit', '1', cursor, '--json']);
    expect(next.code).toBe(0);
    expect((JSON.parse(next.stdout) as { data: JobJson[] }).data[0]?.id).not.toBe(/job_\w+/.exec(page.stdout)?.[0]);
    expect((await cli(['jobs', 'list', '--custom-id', 'nobody'])).stdout).toBe('No jobs.\n');
    const half = await cli(['jobs', 'list', '--metadata', 'team']);
    expect([half.code, half.stderr]).toEqual([2, expect.stringContaining('--metadata "team": write key=value')]);
  });

  test('cancel ends a job; a final one cannot be', async () => {
    const { id } = await waybill.client.submit({ model: 'one/hang', prompt: 'x' });
    expect(await cli(['jobs', 'cancel', id])).toMatchObject({ code: 0, stdout: `${id}  cancelled\n` });
    const refused = await cli(['jobs', 'cancel', done.id, '--json']);
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.stdout)).toMatchObject({
      error: { code: 'already_terminal', request_id: expect.any(String) },
    });
  });

  test('retry starts failed jobs again; one that succeeded cannot be', async () => {
    const { code, stdout } = await cli(['jobs', 'retry', failed.id, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ object: 'list', data: [{ id: failed.id, status: 'queued' }] });
    expect((await whenFinal(waybill.client, failed.id)).attempts).toHaveLength(2);
    const refused = await cli(['jobs', 'retry', done.id]);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain('(not_retryable, request req_');
  });
});

test('webhooks secret prints what the API shows, alone', async () => {
  const secret = await waybill.client.webhookSecret();
  expect(await cli(['webhooks', 'secret'])).toMatchObject({ code: 0, stdout: `${secret}\n`, stderr: '' });
  expect(JSON.parse((await cli(['webhooks', 'secret', '--json'])).stdout)).toEqual({ secret });
});

test('flags win over variables, and the key of a server started here is found', async () => {
  const flagged = await runCli(['jobs', 'list', '--url', `${waybill.url}/`, '--api-key', waybill.adminKey], {
    environment: { WAYBILL_URL: 'http://127.0.0.1:1', WAYBILL_API_KEY: 'wrong' },
  });
  expect(flagged.code).toBe(0);
  expect(flagged.stderr).toContain('visible in the process list');
  const found = await runCli(['jobs', 'list'], {
    environment: { WAYBILL_URL: waybill.url, WAYBILL_DATA_DIR: waybill.directory },
  });
  expect(found).toMatchObject({ code: 0, stderr: '' });
});

test('a reader that closes the pipe early ends the command quietly', async () => {
  const { stderr } = await inShell(`{ "$0" "$1" jobs list --json; echo "exit $?" >&2; } | true`);
  expect(stderr).toBe('exit 0\n');
});

/** `waybill up`: what it says at the start, what keeps it from starting, and how it ends. */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@waybill/producer/client/client.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually, whenFinal } from '../support/waybill.ts';
import { runCli, startCli, startWaybillProcess } from '../support/waybill-process.ts';

let root: string;
let directory: string;
let provider: ScriptedProvider;
let release: () => void = () => undefined;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'waybill-up-'));
  provider = await startScriptedProvider(async (request) => {
    if (request.prompt === 'held') await new Promise<void>((resolve) => (release = resolve));
    return say('done');
  });
});

afterAll(async () => {
  await provider?.stop();
  await rm(root, { recursive: true, force: true });
});

let tests = 0;
beforeEach(async () => {
  tests += 1;
  directory = join(root, String(tests));
  await mkdir(directory);
});

const config = () => ({ providers: { one: { preset: 'openai-compatible', base_url: `${provider.url}/v1` } } });
const up = async (yaml: string, more: NodeJS.ProcessEnv = {}, args: readonly string[] = []) => {
  const file = join(directory, 'waybill.yaml');
  await writeFile(file, yaml);
  return runCli(['up', ...args], {
    environment: { WAYBILL_CONFIG: file, WAYBILL_DATA_DIR: join(directory, 'data'), WAYBILL_PORT: '0', ...more },
    cwd: directory,
  });
};

test('a second one on the same folder exits with 2, and names the process that holds it', async () => {
  const first = await startWaybillProcess(directory, config());
  const second = await up(JSON.stringify(config()));
  expect([second.code, second.stdout]).toEqual([2, '']);
  expect(second.stderr).toContain(`process ${first.pid} holds it`);
  expect(second.stderr).toContain('(data_dir_locked)');
  const json = await up(JSON.stringify(config()), {}, ['--json']);
  expect([json.code, JSON.parse(json.stdout)]).toMatchObject([2, { error: { code: 'data_dir_locked' } }]);
  const { id } = await first.client.submit({ model: 'one/m', prompt: 'x' });
  expect((await whenFinal(first.client, id)).status).toBe('succeeded');
  expect(await first.stop()).toBe(0);
});

test('of two that start at once on a new folder one runs, and its keys are those on the disk', async () => {
  const file = join(directory, 'waybill.yaml');
  const data = join(directory, 'data');
  await writeFile(file, JSON.stringify(config()));
  const environment = { WAYBILL_CONFIG: file, WAYBILL_DATA_DIR: data, WAYBILL_PORT: '0', LOG_LEVEL: 'warn' };
  const both = [1, 2].map(() => startCli(['up', '--json'], { environment }));
  const [loser] = await Promise.all([
    Promise.race(both.map(async (each) => ({ each, ...(await each.ended) }))),
    eventually(
      () => both.filter((each) => each.stdout().includes('\n')).length,
      (count) => count === 2,
    ),
  ]);
  expect(loser.code).toBe(2);
  expect(loser.each.stdout()).toContain('data_dir_locked');
  const winner = both.find((each) => each !== loser.each);
  const { url } = JSON.parse(winner?.stdout() ?? '') as { url: string };
  const apiKey = (await readFile(join(data, 'admin-key'), 'utf8')).trim();
  const secret = await createClient({ url, apiKey }).webhookSecret();
  winner?.child.kill('SIGTERM');
  expect(await winner?.ended).toEqual({ code: 0, signal: null });
  const again = await startWaybillProcess(directory, config());
  expect(await again.client.webhookSecret()).toBe(secret);
  expect(await again.stop()).toBe(0);
});

test('without a provider it starts all the same, and a job is answered 503', async () => {
  const server = await startWaybillProcess(directory, {});
  try {
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    const error = await server.client.submit({ model: 'default', prompt: 'x' }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ status: 503, code: 'no_provider_configured' });
    const enqueue = await runCli(['enqueue', '-', '--json'], {
      environment: { WAYBILL_URL: server.url, WAYBILL_API_KEY: server.adminKey },
      input: 'hello',
    });
    expect([enqueue.code, JSON.parse(enqueue.stdout)]).toMatchObject([
      1,
      { error: { code: 'no_provider_configured', param: 'line 1' } },
    ]);
  } finally {
    expect(await server.stop()).toBe(0);
  }
});

test('it says where it is, what it will call, and what to paste', async () => {
  const file = join(directory, 'waybill.yaml');
  await writeFile(file, JSON.stringify({ ...config(), chains: { default: { targets: ['one/m'] } } }));
  const running = startCli(['up'], {
    environment: { WAYBILL_CONFIG: file, WAYBILL_PORT: '0', LOG_LEVEL: 'warn' },
    cwd: directory,
  });
  const text = await eventually(running.stdout, (said) => said.includes('?wait=30s'));
  expect(text).toMatch(/^Waybill is up at http:\/\/127\.0\.0\.1:\d+ {2}\(/);
  expect(text).toContain('Chain "default":  one/m');
  const curl = /curl -s (http:\S+)\/v1\/jobs -H "authorization: Bearer \$\(cat (\S+)\)"/.exec(text);
  const key = await readFile(join(directory, curl?.[2] ?? ''), 'utf8');
  expect(text).not.toContain(key.trim());
  const client = createClient({ url: curl?.[1] ?? '', apiKey: key.trim() });
  const { id } = await client.submit({ model: 'default', prompt: 'x' });
  expect((await whenFinal(client, id)).status).toBe('succeeded');
  for (const [name, mode] of [
    ['.', 0o700],
    ['admin-key', 0o600],
    ['master-key', 0o600],
  ] as const)
    expect((await stat(join(directory, '.waybill', name))).mode & 0o777, name).toBe(mode);
  running.child.kill('SIGINT');
  expect(await running.ended).toEqual({ code: 0, signal: null });
  expect(running.stdout()).toContain('SIGINT: finishing running calls');
});

test('SIGTERM finishes the running call, takes nothing new, and exits with 0', async () => {
  const server = await startWaybillProcess(directory, config());
  const before = provider.requests.length;
  const { id } = await server.client.submit({ model: 'one/m', prompt: 'held' });
  await eventually(
    () => provider.requests.length,
    (count) => count === before + 1,
  );
  const stopped = server.stop();
  await eventually(
    () =>
      fetch(`${server.url}/healthz`).then(
        () => true,
        () => false,
      ),
    (answers) => !answers,
  );
  release();
  expect(await stopped).toBe(0);
  const again = await startWaybillProcess(directory, config());
  const job = await again.client.get(id);
  expect([job.status, job.attempts.map((attempt) => attempt.status)]).toEqual(['succeeded', ['succeeded']]);
  expect(await again.stop()).toBe(0);
});

describe('a configuration with faults', () => {
  test('exits with 78 and names every fault, each with its place', async () => {
    const result = await up(
      [
        'providers:',
        '  openai: { presett: openai }',
        '  two: { base_url: "ftp://x", limits: { concurrency: 0 } }',
        `  three: { base_url: "http://localhost:1", api_key: "${'$'}{OTHER}" }`,
        'chains:',
        '  default: { targets: [openai/gpt-4.1-mini], mode: manuel }',
        'breaker: { consecutive_failures: 0 }',
      ].join('\n'),
      { OTHER: 'sk-canary-0123456789' },
    );
    expect([result.code, result.stdout]).toEqual([78, '']);
    for (const text of [
      'providers.openai: unknown field "presett"; did you mean "preset"?',
      'providers.two.base_url',
      'providers.two.limits.concurrency',
      'chains.default.mode',
      'breaker.consecutive_failures',
    ])
      expect(result.stderr).toContain(text);
    expect(result.stderr).not.toContain('canary');
    expect(result.stderr).not.toMatch(/\n\s+at /);
  });

  test.for([
    ['one unknown field', 'provders: {}', /did you mean "providers"\?/],
    ['a field of later', 'retention: { jobs: 30d }', /"retention" is not supported yet/],
    ['broken YAML', 'providers:\n  - {', /waybill\.yaml:\d+:\d+/],
    ['the same key twice', 'providers: {}\nproviders: {}', /waybill\.yaml:2:1/],
    ['a variable that is not set', `providers: { one: { base_url: "${'$'}{NOWHERE}" } }`, /NOWHERE is not set/],
    ['a target of no provider', 'providers: {}\nchains: { default: { targets: [nobody/m] } }', /nobody/],
  ] as const)('%s exits with 78', async ([, yaml, said]) => {
    const result = await up(yaml, {}, ['--json']);
    expect([result.code, result.stderr]).toEqual([78, '']);
    const { error } = JSON.parse(result.stdout) as { error: { code: string; message: string } };
    expect(error.code).toBe('invalid_config');
    expect(error.message).toMatch(said);
  });

  test('a file that is named and not there exits with 66', async () => {
    const result = await runCli(['up'], { environment: { WAYBILL_CONFIG: '/no/such/waybill.yaml' }, cwd: directory });
    expect(result.code).toBe(66);
    expect(result.stderr).toContain('/no/such/waybill.yaml');
  });

  test.for([
    ['WAYBILL_PORT', '70000'],
    ['WAYBILL_HOST', 'not an address'],
    ['LOG_LEVEL', 'loud'],
    ['DATABASE_URL', 'mysql://user:canary-password@db/x'],
    ['REDIS_URL', 'http://:canary-password@redis'],
    ['REDIS_URL', 'redis://:canary-password@redis:6379/0'],
    ['WAYBILL_MASTER_KEY', 'canary-too-short'],
  ] as const)('%s=%s in the environment exits with 78, and is named', async ([name, value]) => {
    const result = await up('{}', { [name]: value });
    expect(result.code).toBe(78);
    expect(result.stderr).toContain(name);
    expect(result.stderr).not.toContain('canary');
  });
});

test('a port that is taken exits with 2, and says what to set', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as AddressInfo;
  try {
    const result = await up('{}', { WAYBILL_PORT: String(port) });
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(
      `Cannot listen on 127.0.0.1:${port}: another program listens there. Set WAYBILL_PORT`,
    );
  } finally {
    await new Promise((resolve) => holder.close(resolve));
  }
});

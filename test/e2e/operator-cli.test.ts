/** The operator's commands against a server: providers switched, credentials kept, events followed. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProviderJson } from '@waybill/producer/routes/admin/provider-json.ts';
import { addApiKey, defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange } from '../support/http-exchange.ts';
import { eventually, startWaybill, type TestWaybill } from '../support/waybill.ts';
import { type CommandResult, runCli, startCli } from '../support/waybill-process.ts';

const canary = 'sk-canary-5f90c1';
let waybill: TestWaybill;
let directory: string;
let userKey: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waybill-operator-'));
  const entry = { preset: 'openai-compatible', health: { probe: false } };
  waybill = await startWaybill({
    config: {
      providers: {
        one: { ...entry, base_url: 'http://127.0.0.1:9/v1', credentials: [{ stored: 'one-key', account: 'main' }] },
        two: { ...entry, endpoints: ['http://127.0.0.1:9/v1', 'http://127.0.0.1:9/v2'] },
      },
      chains: { default: { targets: ['two/m'] } },
    },
  });
  const scopes = ['jobs:read'] as const;
  userKey = (await addApiKey(waybill.server.database, { tenantId: defaultTenantId, name: 'user', scopes })).text;
});
afterAll(async () => {
  await waybill?.stop();
  await rm(directory, { recursive: true, force: true });
});

const environment = () => ({ WAYBILL_URL: waybill.url, WAYBILL_API_KEY: waybill.adminKey });

/** Whatever a command says, and however it ends, no secret is in it. */
async function cli(
  args: readonly string[],
  options: { input?: string; environment?: NodeJS.ProcessEnv } = {},
): Promise<CommandResult> {
  const result = await runCli(args, { environment: environment(), cwd: directory, ...options });
  expect(`${result.stdout}${result.stderr}`).not.toContain(canary);
  expect(`${result.stdout}${result.stderr}`).not.toContain(waybill.adminKey);
  return result;
}
const stateOf = async (id: string): Promise<ProviderJson> =>
  JSON.parse(
    (await exchange(waybill.url, waybill.adminKey, { path: `/admin/v1/providers/${id}` })).text,
  ) as ProviderJson;
const note = (id: string) =>
  waybill.server.database.kysely
    .insertInto('waybill.events')
    .values({
      id,
      type: 'provider.recovered',
      data: JSON.stringify({ provider: `of ${id}\u001b[31m`, endpoint: null }),
    })
    .execute();

describe('--help', () => {
  test.for([
    'providers',
    'providers list',
    'providers enable',
    'providers disable',
    'providers reset',
    'providers discover',
    'providers models',
    'providers test',
    'providers check-drift',
    'credentials',
    'credentials add',
    'credentials list',
    'credentials remove',
    'events',
  ])('of "waybill %s" shows examples', async (command) => {
    const { code, stdout } = await cli([...command.split(' '), '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\nExamples?:\n {2}\S/);
  });

  test('of waybill lists them as built', async () => {
    const { stdout } = await cli(['--help']);
    for (const name of ['providers', 'credentials', 'events'])
      expect(stdout).toMatch(new RegExp(`^  ${name} .*(?<!not in this version yet)$`, 'm'));
  });
});

describe('providers', () => {
  test('are listed a row per address, and the unknown as such', async () => {
    const { code, stdout } = await cli(['providers', 'list']);
    expect(code).toBe(0);
    expect(stdout.split('\n')[0]).toMatch(/^provider +status +enabled +models +chains +credentials +success +p50$/);
    expect(stdout).toMatch(/^one +unknown +yes +none +none +one-key +unknown +unknown$/m);
    expect(stdout).toMatch(/^two@2 +\S+ +\S.* +m +default +none +unknown +unknown$/m);
  });

  test('are switched off, on, and back to what is configured', async () => {
    expect(await cli(['providers', 'disable', 'two'])).toMatchObject({ code: 0, stdout: 'two  no (switched)\n' });
    expect(await stateOf('two')).toMatchObject({ enabled: false, enabled_by: 'switch' });
    expect(await cli(['providers', 'enable', 'two'])).toMatchObject({ code: 0, stdout: 'two  yes (switched)\n' });
    const { code, stdout } = await cli(['providers', 'reset', 'two', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ id: 'two', enabled: true, enabled_by: 'configuration' });
  });

  test.for<[string, () => NodeJS.ProcessEnv, number, RegExp]>([
    ['a name that is none', environment, 1, /did you mean "two"\?.*\(not_found, request req_/],
    ['a key that may not', () => ({ ...environment(), WAYBILL_API_KEY: userKey }), 77, /scope "admin"/],
    ['no server', () => ({ ...environment(), WAYBILL_URL: 'http://127.0.0.1:9' }), 69, /Start it with `waybill up`/],
  ])('%s is said, and ends with its own code', async ([, env, expected, message]) => {
    const { code, stderr } = await cli(['providers', 'disable', 'twp'], { environment: env() });
    expect(code).toBe(expected);
    expect(stderr).toMatch(message);
  });
});

describe('credentials', () => {
  test('come from a pipe or a file, are listed by name, and are removed once', async () => {
    const added = await cli(['credentials', 'add', 'one-key'], { input: `${canary}\n` });
    expect(added).toMatchObject({ code: 0, stdout: 'one-key  stored\n', stderr: '' });
    const path = join(directory, 'secret');
    await writeFile(path, `${canary}\n`);
    const spare = await cli(['credentials', 'add', 'spare', '--file', path, '--json']);
    expect(JSON.parse(spare.stdout)).toMatchObject({ object: 'credential', name: 'spare', used_by: [] });
    const { stdout } = await cli(['credentials', 'list']);
    expect(stdout).toMatch(/^one-key +\d{4}-\S+ +one\/main$/m);
    expect(stdout).toMatch(/^spare +\d{4}-\S+ +nobody$/m);
    expect(await cli(['credentials', 'remove', 'spare'])).toMatchObject({ code: 0, stdout: 'spare  removed\n' });
    expect((await cli(['credentials', 'remove', 'spare'])).code).toBe(1);
  });

  test.for<[string, string[], string, number, RegExp]>([
    ['as an argument', ['a', canary], '', 2, /where every user of the machine can read it/],
    ['as a flag', ['a', '--secret', canary], '', 2, /where every user of the machine can read it/],
    ['from an empty pipe', ['a'], ' \n', 2, /nothing came in/],
    [
      'from a file that is not there',
      ['a', '--file', '/nowhere/secret'],
      '',
      66,
      /Cannot read \/nowhere\/secret \(ENOENT\)/,
    ],
    ['in quotes', ['a'], `"${canary}"`, 1, /wrapped in quotes/],
    ['under a name that is none', ['a b'], canary, 1, /the name of a credential has 1 to 64/],
  ])('a secret is not taken %s', async ([, args, input, expected, message]) => {
    const { code, stderr } = await cli(['credentials', 'add', ...args], { input });
    expect(code).toBe(expected);
    expect(stderr).toMatch(message);
    const list = await exchange(waybill.url, waybill.adminKey, { path: '/admin/v1/credentials' });
    expect(list.text).not.toContain('"a"');
  });
});

describe('events', () => {
  test('are shown from a number on, terminal codes escaped', async () => {
    await note('shown');
    const { code, stdout } = await cli(['events']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ +\d+ {2}\d{4}-\S+ {2}provider\.recovered {2}provider=of shown\\x1b\[31m$/m);
    const all = JSON.parse((await cli(['events', '--json'])).stdout) as { next_after: number };
    expect(await cli(['events', '--after', String(all.next_after + 1_000)])).toMatchObject({ stdout: 'No events.\n' });
    expect(await cli(['events', '--after', 'x'])).toMatchObject({ code: 2 });
  });

  test('are followed as they happen, until Ctrl-C', async () => {
    const running = startCli(['events', '--follow', '--json'], { environment: environment(), cwd: directory });
    const lines = () => running.stdout().trim().split('\n');
    await note('before');
    await eventually(lines, (seen) => seen.some((line) => line.includes('"before"')));
    await note('while');
    await eventually(lines, (seen) => seen.some((line) => line.includes('"while"')));
    running.child.kill('SIGINT');
    expect(await running.ended).toMatchObject({ code: 0, signal: null });
    for (const line of lines()) expect(JSON.parse(line)).toMatchObject({ object: 'event' });
  });
});

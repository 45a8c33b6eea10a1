import { once } from 'node:events';
import { mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { addApiKey, defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { startWaybill, type TestWaybill } from '../support/waybill.ts';
import { type CommandResult, runCli, startCli } from '../support/waybill-process.ts';

let waybill: TestWaybill;
let provider: ScriptedProvider;
let directory: string;
const others: Server[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waybill-bad-'));
  provider = await startScriptedProvider(() => say('done'));
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
  for (const server of others) server.close();
  await rm(directory, { recursive: true, force: true });
});

const environment = () => ({ WAYBILL_URL: waybill.url, WAYBILL_API_KEY: waybill.adminKey });
const cli = (args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<CommandResult> =>
  runCli(args, { environment: { ...environment(), ...more }, cwd: directory });

async function jobsStored(): Promise<number> {
  const { rows } = await waybill.server.database.pool.query('select count(*)::int as n from waybill.jobs');
  return Number(rows[0]?.n);
}

interface ErrorOutput {
  readonly error: { readonly code: string; readonly message: string; readonly param: string | null };
}
const errorOf = ({ stdout }: CommandResult) => (JSON.parse(stdout) as ErrorOutput).error;

const line = (content: string, more: object = {}) =>
  JSON.stringify({ body: { model: 'default', messages: [{ role: 'user', content }] }, ...more });
const deep = `{"body":{"model":"default","messages":[{"role":"user","content":"x"}],"metadata":${'['.repeat(70)}${']'.repeat(70)}}}`;
const many = (count: number, bad: string) =>
  Array.from({ length: count }, (_, index) => (index === count - 1 ? bad : line(`canary ${index}`))).join('\n');

describe('a file that cannot be taken', () => {
  afterEach(async () => {
    expect(await jobsStored(), 'nothing is stored').toBe(0);
  });

  test.for([
    ['B1 no byte', '', 'empty_batch', null],
    ['B1 only line ends', '\n\r\n\n', 'empty_batch', null],
    ['B1 only a byte order mark', '\ufeff', 'empty_batch', null],
    ['B2 a line over 1 MB', `${line('x'.repeat(1_100_000))}\n${line('y')}`, 'line_too_long', 'line 1'],
    ['B2 a long line later on', `${line('x')}\n${line('y'.repeat(1_100_000))}`, 'line_too_long', 'line 2'],
    ['B6 a JSON list', `[\n  ${line('x')}\n]`, 'not_jsonl', null],
    ['B6 gzip data', gzipSync(line('x')), 'not_jsonl', null],
    ['B6 a spreadsheet', Buffer.from('PK\u0003\u0004 and so on'), 'not_jsonl', null],
    ['B7 a broken line far down', many(400, '{"body": {"model": "default", '), 'invalid_json', 'line 400'],
    ['B7 single quotes', `${line('x')}\n{'body': 1}`, 'invalid_json', 'line 2'],
    [
      'B7 a number beyond 2^53',
      line('x', { priority: 1 }).replace(':1', ':9007199254740993'),
      'number_out_of_range',
      'line 1',
    ],
    ['B7 an unknown field', line('x', { prority: 'bulk' }), 'unknown_field', 'line 1'],
    ['B7 no messages', '{"body":{"model":"default","messages":[]}}', 'empty_input', 'line 1'],
    [
      'B8 the same custom_id twice',
      [line('a', { custom_id: 'x' }), line('b', { custom_id: 'x' })].join('\n'),
      'duplicate_custom_id',
      'line 2',
    ],
    [
      'B8 the same custom_id far apart',
      `${line('a', { custom_id: 'x' })}\n${many(900, line('b', { custom_id: 'x' }))}`,
      'duplicate_custom_id',
      'line 901',
    ],
    ['B8 a custom_id that is a number', line('a', { custom_id: 7 }), 'invalid_type', 'line 1'],
    ['B8 an empty custom_id', line('a', { custom_id: '' }), 'out_of_range', 'line 1'],
    ['B8 a custom_id that is too long', line('a', { custom_id: 'x'.repeat(513) }), 'out_of_range', 'line 1'],
    ['B8 a custom_id that turns text around', line('a', { custom_id: 'a\u202eb' }), 'control_character', 'line 1'],
    ['B9 more than a million lines', '\n'.repeat(1_000_001), 'too_many_items', null],
    [
      'B10 a model that is not there',
      `${line('a')}\n${line('b').replace('default', 'nobody')}`,
      'model_not_found',
      'line 2',
    ],
    [
      'B11 invalid UTF-8',
      Buffer.concat([Buffer.from(`${line('a')}\n`), Buffer.from([0x7b, 0xff, 0xfe])]),
      'invalid_utf8',
      'line 2',
    ],
    ['B11 UTF-16', Buffer.from(line('a'), 'utf16le'), 'invalid_json', 'line 1'],
    [
      'B11 a forbidden key',
      line('a', { metadata: { a: 'b' } }).replace('"a":', '"__proto__":'),
      'forbidden_key',
      'line 1',
    ],
    ['B11 another forbidden key', line('a', { metadata: { constructor: 'b' } }), 'forbidden_key', 'line 1'],
    [
      'B11 half a surrogate pair',
      line('a', { custom_id: 'x' }).replace('"x"', '"\\ud800"'),
      'invalid_unicode',
      'line 1',
    ],
    ['B11 NUL in metadata', line('a', { metadata: { k: 'a\u0000' } }), 'control_character', 'line 1'],
    ['B12 deep nesting', `${line('a')}\n${deep}`, 'json_too_deep', 'line 2'],
    ['an endpoint of another kind', line('a', { url: '/v1/images' }), 'unsupported_endpoint', 'line 1'],
    ['a webhook to nowhere', line('a', { webhook_url: 'ftp://example.com' }), 'url_scheme', 'line 1'],
  ] as const)('%s', async ([, content, code, param]) => {
    const path = join(directory, 'input.jsonl');
    await writeFile(path, content);
    // Without --format, a first line that does not begin with a brace is a plain prompt.
    const result = await cli(['enqueue', path, '--format', 'jsonl', '--json']);
    expect(result.stderr).toBe('');
    expect([errorOf(result).code, errorOf(result).param, result.code]).toEqual([code, param, 1]);
    expect(errorOf(result).message).not.toContain('canary');
  });

  test('B8 names both lines with the same custom_id', async () => {
    const path = join(directory, 'twice.jsonl');
    await writeFile(path, [line('a'), line('b', { custom_id: 'x' }), '', line('c', { custom_id: 'x' })].join('\n'));
    const result = await cli(['enqueue', path]);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toBe('waybill: Cannot accept line 4: line 2 has the same custom_id (duplicate_custom_id)\n');
  });

  test('B2 stops reading a line that never ends', async () => {
    const running = startCli(['enqueue', '-', '--json'], { environment: environment() });
    const chunk = 'x'.repeat(65_536);
    const stdin = running.child.stdin;
    const feed = () => {
      while (stdin?.writable && stdin.write(chunk));
    };
    stdin?.on('drain', feed);
    feed();
    expect((await running.ended).code).toBe(1);
    expect(JSON.parse(running.stdout())).toMatchObject({ error: { code: 'line_too_long', param: 'line 1' } });
  });

  test('B2 a file of 300 MB in one line is refused by its beginning', async () => {
    const path = join(directory, 'huge.jsonl');
    await writeFile(path, '');
    await truncate(path, 300 * 1024 * 1024);
    expect(errorOf(await cli(['enqueue', path, '--json'])).code).toBe('line_too_long');
  });

  test.for([
    ['is missing', (): string => 'no-such-file.jsonl', 'there is no such file'],
    ['is a directory', (): string => directory, 'it is not a file'],
    ['is a device', (): string => '/dev/zero', 'it is not a file'],
    ['has a name that turns text around', (): string => 'a\u202eb\u001b[2J', 'a\\x202eb\\x1b[2J'],
  ] as const)('L3 a path that %s', async ([, path, why]) => {
    const result = await cli(['enqueue', path()]);
    expect([result.code, result.stdout]).toEqual([66, '']);
    expect(result.stderr).toContain(why);
    expect(errorOf(await cli(['enqueue', path(), '--json'])).code).toBe('file_unreadable');
  });

  test('L3 a link to a directory', async () => {
    await symlink(directory, join(directory, 'link'));
    expect((await cli(['enqueue', 'link'])).code).toBe(66);
  });

  test('an output that cannot be written is said before anything is sent', async () => {
    const path = join(directory, 'fine.jsonl');
    await writeFile(path, line('x'));
    const result = await cli(['enqueue', path, '--output', '/no/such/folder/answers.jsonl', '--json']);
    expect([result.code, errorOf(result).code]).toEqual([66, 'file_unreadable']);
    const unasked = await cli(['enqueue', path, '--output', 'answers.jsonl', '--no-wait', '--json']);
    expect([unasked.code, errorOf(unasked).code]).toEqual([2, 'invalid_usage']);
    const key = await cli(['enqueue', path, '--idempotency-key', 'ключ', '--json']);
    expect([key.code, errorOf(key).code]).toEqual([2, 'invalid_idempotency_key']);
  });

  test.for([
    ['L1 an unknown command', ['enqeue', 'x'], 'Did you mean enqueue?'],
    ['L1 an unknown flag', ['enqueue', 'x', '--no-wiat'], 'Did you mean --no-wait?'],
    ['L1 an unknown subcommand', ['jobs', 'lsit'], 'Did you mean list?'],
    ['L2 a missing argument', ['enqueue'], "missing required argument 'file'"],
    ['L2 too many arguments', ['enqueue', 'a', 'b'], 'too many arguments'],
    ['L2 a missing value', ['jobs', 'list', '--status'], 'argument missing'],
    ['L2 a flag where a value should be', ['jobs', 'list', '--status', '--json'], 'misses its value'],
    ['L2 a repeated flag', ['jobs', 'list', '--limit', '1', '--limit=2'], 'was given twice'],
    ['L2 a value that is none of the choices', ['enqueue', 'x', '--priority', 'urgent'], 'Allowed choices are'],
  ] as const)('%s is a usage error', async ([, args, said]) => {
    const result = await cli(args);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(said);
    expect(result.stderr).not.toMatch(/\n\s+at /);
    const json = await cli([...args, '--json']);
    expect([json.code, errorOf(json).code]).toEqual([2, 'invalid_usage']);
  });
});

describe('a server that cannot be used', () => {
  async function listen(server: Server): Promise<string> {
    others.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test.for([
    ['is down', async (): Promise<string> => 'http://127.0.0.1:1'],
    ['speaks no TLS', async (): Promise<string> => waybill.url.replace('http:', 'https:')],
    ['has no address', async (): Promise<string> => 'http://no-such-host.invalid'],
    [
      'is a web page',
      async (): Promise<string> => `http://${await listen(createServer((_, response) => response.end('<html>hi')))}`,
    ],
    [
      'is another service',
      async (): Promise<string> =>
        `http://${await listen(createServer((_, response) => response.writeHead(404).end('{"detail":"Not Found"}')))}`,
    ],
  ] as const)('L4 because it %s', async ([, url]) => {
    const address = await url();
    const result = await cli(['jobs', 'list', '--url', address]);
    expect([result.code, result.stdout]).toEqual([69, '']);
    expect(result.stderr.split('\n')).toHaveLength(2);
    expect(result.stderr).toContain(address);
    expect(result.stderr).toContain('(server_unreachable)');
    const json = await cli(['jobs', 'list', '--url', address, '--json']);
    expect([json.code, errorOf(json).code]).toEqual([69, 'server_unreachable']);
  });

  test.for(['not-an-address', 'ftp://127.0.0.1'])('because %s is no address of a server', async (url) => {
    const result = await cli(['jobs', 'list', '--url', url, '--json']);
    expect([result.code, errorOf(result).code]).toEqual([2, 'invalid_url']);
  });

  test('L5 a key of somebody else, or of another service', async () => {
    const result = await cli(['jobs', 'list'], { WAYBILL_API_KEY: 'sk-proj-canary-0123456789' });
    expect([result.code, result.stdout]).toEqual([77, '']);
    expect(result.stderr).toContain('The key begins with sk-…, from WAYBILL_API_KEY (invalid_api_key, request req_');
    expect(result.stderr).not.toContain('canary');
  });

  test('L5 a key without the scope', async () => {
    const { text } = await addApiKey(waybill.server.database, {
      tenantId: defaultTenantId,
      name: 'reader',
      scopes: ['jobs:read'],
    });
    const result = await cli(['webhooks', 'secret', '--json'], { WAYBILL_API_KEY: text });
    expect([result.code, errorOf(result).code]).toEqual([77, 'insufficient_scope']);
    expect(errorOf(result).message).toContain(`The key begins with ${text.slice(0, 20)}, from WAYBILL_API_KEY`);
    expect(errorOf(result).message).not.toContain(text.slice(20));
  });

  test('L5 no key at all, and one that no header can hold', async () => {
    const none = await runCli(['jobs', 'list', '--json'], {
      environment: { WAYBILL_URL: waybill.url },
      cwd: directory,
    });
    expect([none.code, errorOf(none).code]).toEqual([77, 'missing_api_key']);
    const odd = await cli(['jobs', 'list', '--json'], { WAYBILL_API_KEY: 'wb_ключ' });
    expect([odd.code, errorOf(odd).code]).toEqual([77, 'invalid_api_key']);
  });

  test('L10 a key on the command line is taken, with a warning that --json keeps out of the way', async () => {
    const result = await cli(['jobs', 'list', '--json', '--api-key', waybill.adminKey], { WAYBILL_API_KEY: '' });
    expect(result.code).toBe(0);
    expect(result.stderr).toContain('visible in the process list');
    expect(JSON.parse(result.stdout)).toMatchObject({ object: 'list' });
  });

  test('a job that is not there, and a filter that is wrong, are errors of the request', async () => {
    const missing = await cli(['jobs', 'get', 'job_nothing', '--json']);
    expect([missing.code, errorOf(missing).code]).toEqual([1, 'not_found']);
    const limit = await cli(['jobs', 'list', '--limit', '0', '--json']);
    expect([limit.code, errorOf(limit).code]).toEqual([1, 'invalid_limit']);
  });
});

/** `waybill providers` as it asks providers itself: scripted servers on loopback, a configuration file, no server of ours. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '@waybill/shared/config/load.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/waybill.ts';
import { type CommandResult, runCli, startCli } from '../support/waybill-process.ts';

const canary = 'sk-canary-8e21d4';
const wrong = 'sk-canary-wrong-55';
const echoed = 'echoed-by-the-provider-77';
let provider: ListingServer;
let hanging: ListingServer;
let directory: string;
let files = 0;

const listed = [
  { id: 'gpt-4.1-mini', object: 'model' },
  { id: 'my-tune', context_window: 32_000, pricing: { prompt: '0.000001', completion: '0.000002' } },
  { id: 'old-model', active: false },
];

interface Seen {
  readonly path: string;
  readonly body: Record<string, unknown>;
}

interface ListingServer {
  readonly url: string;
  readonly requests: Seen[];
  readonly server: Server;
}

/** @param answer null: never */
async function startListingServer(
  answer: (request: IncomingMessage, seen: Seen) => { status: number; body: unknown } | null,
): Promise<ListingServer> {
  const requests: Seen[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const seen = { path: request.url ?? '', body: JSON.parse(text || '{}') as Record<string, unknown> };
    requests.push(seen);
    const reply = answer(request, seen);
    if (reply === null) return;
    response.writeHead(reply.status, { 'content-type': 'application/json' }).end(JSON.stringify(reply.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, server };
}

const yes = {
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'yes' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 },
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waybill-providers-'));
  provider = await startListingServer((request, { path }) => {
    if (request.headers.authorization !== `Bearer ${canary}`)
      return { status: 401, body: { error: { message: `${echoed} ${wrong}`, code: 'invalid_api_key' } } };
    return { status: 200, body: path === '/v1/models' ? { object: 'list', data: listed } : yes };
  });
  hanging = await startListingServer(() => null);
});
afterAll(async () => {
  for (const { server } of [provider, hanging]) {
    server.closeAllConnections();
    server.close();
  }
  await rm(directory, { recursive: true, force: true });
});
beforeEach(() => void provider.requests.splice(0));

const good = () => ({ base_url: `${provider.url}/v1`, credentials: [{ env: 'GOOD_KEY' }] });
const environment = { GOOD_KEY: canary, WRONG_KEY: wrong };

/** @param providers as the configuration file holds them */
async function configured(providers: object, targets?: readonly string[]): Promise<NodeJS.ProcessEnv> {
  files += 1;
  const path = join(directory, `${files}.yaml`);
  await writeFile(path, JSON.stringify({ providers, ...(targets ? { chains: { default: { targets } } } : {}) }));
  return { ...environment, WAYBILL_CONFIG: path };
}

/** Whatever a command says, and however it ends, no secret is in it. */
async function cli(args: readonly string[], env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const result = await runCli(['providers', ...args], { environment: env, cwd: directory });
  expect(`${result.stdout}${result.stderr}`).not.toMatch(new RegExp(`${canary}|${wrong}|${echoed}`));
  return result;
}
async function json<T>(args: readonly string[], env: NodeJS.ProcessEnv): Promise<{ code: number | null; body: T }> {
  const { code, stdout } = await cli([...args, '--json'], env);
  expect(stdout.trim().split('\n')).toHaveLength(1);
  return { code, body: JSON.parse(stdout) as T };
}
const calls = () => provider.requests.filter(({ path }) => path !== '/v1/models');

describe('discover', () => {
  const found = () => ({ OPENAI_API_KEY: canary, OPENAI_BASE_URL: `${provider.url}/v1` });

  test('shows what the environment offers, and prints a configuration that loads', async () => {
    const { code, stdout } = await cli(['discover'], found());
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^openai +http:\/\/127\.0\.0\.1:\d+\/v1 +OPENAI_API_KEY +3 +gpt-4\.1-mini, my-tune, old-model$/m,
    );
    expect(stdout).toContain('credentials: [{ env: OPENAI_API_KEY }]');
  });

  test('writes a file that this version reads, and never over another', async () => {
    const path = join(directory, 'found.yaml');
    const first = await cli(['discover', '--write', path], found());
    expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining(`WAYBILL_CONFIG=${path} waybill up`) });
    const written = await readFile(path, 'utf8');
    const { settings } = await loadConfig({ WAYBILL_CONFIG: path, OPENAI_API_KEY: canary }, () => Promise.resolve([]));
    expect(settings.providers.openai?.endpoints).toEqual([{ url: `${provider.url}/v1`, concurrency: null }]);
    expect(settings.chains.default?.targets[0]).toBe('openai/gpt-4.1-mini');
    const second = await cli(['discover', '--write', path], found());
    expect(second).toMatchObject({ code: 2, stderr: expect.stringContaining('it exists and is left as it is') });
    expect(await readFile(path, 'utf8')).toBe(written);
  });

  test('names what cannot be used, why, and what to do', async () => {
    const { code, body } = await json<{ providers: unknown[]; configuration: string }>(['discover'], {
      ...found(),
      OPENAI_API_KEY: wrong,
    });
    expect(code).toBe(0);
    expect(body.providers).toContainEqual({
      id: 'openai',
      preset: 'openai',
      endpoint: `${provider.url}/v1`,
      credential_variable: 'OPENAI_API_KEY',
      models: [],
      model: 'gpt-4.1-mini',
      problem: 'HTTP 401 (auth)',
      remedy: 'replace the credential OPENAI_API_KEY',
    });
    expect(body.configuration).toContain('enabled: false # HTTP 401 (auth)');
  });
});

describe('models', () => {
  test('come with their window and price, and what is not known stays unknown', async () => {
    const env = await configured({ openai: good(), other: { ...good(), preset: 'openai-compatible' } }, [
      'openai/my-tune',
    ]);
    const { code, body } = await json<{ data: { provider: string; id: string }[] }>(['models'], env);
    expect(code).toBe(0);
    const model = (of: string, id: string) => body.data.find((each) => each.provider === of && each.id === id);
    expect(model('openai', 'gpt-4.1-mini')).toMatchObject({
      in_use: false,
      context_window: 1_047_576,
      input_usd_per_million: '0.4',
      output_usd_per_million: '1.6',
    });
    expect(model('openai', 'my-tune')).toMatchObject({
      in_use: true,
      context_window: 32_000,
      input_usd_per_million: '1',
      output_usd_per_million: '2',
    });
    expect(model('other', 'old-model')).toMatchObject({
      context_window: null,
      input_usd_per_million: null,
      lifecycle: 'retired',
    });
  });

  test('of one provider that is named; a name that is none ends with a hint', async () => {
    const env = await configured({ openai: good(), other: { ...good(), preset: 'openai-compatible' } });
    const one = await cli(['models', 'other'], env);
    expect(one).toMatchObject({ code: 0, stdout: expect.stringMatching(/^other +my-tune .*32000 +1 +2$/m) });
    expect(one.stdout).not.toMatch(/^openai /m);
    const none = await cli(['models', 'opnai'], env);
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('did you mean "openai"?') });
  });

  test('what fails is said beside what does not, and ends with 1', async () => {
    const env = await configured({
      openai: good(),
      bad: { ...good(), preset: 'openai', credentials: [{ env: 'WRONG_KEY' }] },
    });
    const { code, stdout, stderr } = await cli(['models'], env);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^openai +gpt-4\.1-mini/m);
    expect(stderr).toContain('HTTP 401 (auth); replace the credential WRONG_KEY');
  });
});

describe('test', () => {
  test('a provider that can be used ends with 0, and no call is made', async () => {
    const { code, body } = await json<object>(['test'], await configured({ openai: good() }, ['openai/gpt-4.1-mini']));
    expect(code).toBe(0);
    expect(body).toMatchObject({
      ok: true,
      calls: [],
      data: [
        {
          provider: 'openai',
          endpoint: `${provider.url}/v1`,
          credential: 'GOOD_KEY',
          status: 'ok',
          reachable: true,
          credential_accepted: true,
          models: ['gpt-4.1-mini'],
          models_missing: [],
          latency_ms: expect.any(Number),
          problem: null,
        },
      ],
    });
    expect(calls()).toEqual([]);
  });

  test('each credential at each address is asked', async () => {
    const { base_url: url } = good();
    const env = await configured({
      openai: {
        endpoints: [url, `${hanging.url}/v1`],
        credentials: [{ env: 'GOOD_KEY' }, { env: 'WRONG_KEY' }, { stored: 'at-the-server' }],
      },
    });
    const { code, body } = await json<{ data: { status: string; problem: string | null }[] }>(
      ['test', '--timeout', '400ms'],
      env,
    );
    expect(code).toBe(1);
    expect(body.data.map(({ status, problem }) => [status, problem])).toEqual([
      ['ok', null],
      ['failed', 'HTTP 401 (auth)'],
      ['skipped', 'its secret is kept by the server'],
      ['failed', 'no answer within 0.4 s'],
      ['failed', 'no answer within 0.4 s'],
      ['skipped', 'its secret is kept by the server'],
    ]);
  });

  test.for<[string, object, string[], RegExp]>([
    [
      'nobody listens',
      { preset: 'openai-compatible', base_url: 'http://127.0.0.1:9/v1' },
      ['one/m'],
      /cannot be reached \(ECONNREFUSED\); check the address/,
    ],
    ['a local server is not there', { preset: 'vllm', base_url: 'http://127.0.0.1:9/v1' }, ['one/m'], /ECONNREFUSED/],
  ])('%s: it fails, and says what to do', async ([, entry, targets, message]) => {
    const { code, stderr } = await cli(['test'], await configured({ one: entry }, targets));
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  test('a model in use that is not listed fails it', async () => {
    const { code, stdout, stderr } = await cli(['test'], await configured({ openai: good() }, ['openai/gone']));
    expect(code).toBe(1);
    expect(stdout).toMatch(/missing gone/);
    expect(stderr).toContain('it does not list gone; name a model that "waybill providers models openai" shows');
  });

  test('one that can only be called is left out, unless asked for', async () => {
    const env = await configured({ 'azure-openai': { ...good() } }, ['azure-openai/d']);
    expect(await cli(['test'], env)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('nothing can be asked of it but a call; add --call, which may be billed'),
    });
  });

  test('--call makes one call of one token per provider, and says that it may be billed', async () => {
    const env = await configured({ openai: good() }, ['openai/gpt-4.1-mini']);
    const { code, stdout, stderr } = await cli(['test', '--call'], env);
    expect(code).toBe(0);
    expect(stderr).toContain('Making 1 real call of one token; providers may bill them.');
    expect(stdout).toMatch(/^openai\/gpt-4\.1-mini +GOOD_KEY +\d+ +\d+ +\d+ +ok$/m);
    expect(calls().map(({ path, body }) => [path, body.model, body.max_completion_tokens])).toEqual([
      ['/v1/chat/completions', 'gpt-4.1-mini', 1],
    ]);
  });

  test('a call that is refused fails it, in our own words', async () => {
    const env = await configured({ openai: { ...good(), credentials: [{ env: 'WRONG_KEY' }] } });
    const { code, body } = await json<{ calls: object[] }>(['test', '--call'], env);
    expect(code).toBe(1);
    expect(body.calls).toMatchObject([{ provider: 'openai', status: 'failed', problem: 'HTTP 401 (auth)' }]);
  });

  test('Ctrl-C ends it at once with 130', async () => {
    const env = await configured({ one: { preset: 'openai-compatible', base_url: `${hanging.url}/v1` } }, ['one/m']);
    const before = hanging.requests.length;
    const running = startCli(['providers', 'test', '--timeout', '60s'], { environment: env, cwd: directory });
    await eventually(
      () => hanging.requests.length,
      (count) => count > before,
    );
    running.child.kill('SIGINT');
    expect(await running.ended).toMatchObject({ code: 130, signal: null });
    expect(running.stderr()).toContain('Interrupted');
  });
});

describe('check-drift', () => {
  test('no drift ends with 0', async () => {
    const env = await configured({ openai: good() }, ['openai/gpt-4.1-mini']);
    expect(await cli(['check-drift'], env)).toMatchObject({ code: 0, stdout: 'No drift at 1 address.\n' });
  });

  test('an error ends with 1; all findings are told with a remedy', async () => {
    const tune = { input_usd_per_million: '1', output_usd_per_million: '3' };
    const env = await configured({ openai: { ...good(), models: { 'my-tune': tune } } }, [
      'openai/my-tune',
      'openai/gone',
    ]);
    const { code, body } = await json<{ findings: object[] }>(['check-drift'], env);
    expect(code).toBe(1);
    expect(body).toMatchObject({ ok: false, checked: 1, not_checked: [] });
    expect(body.findings).toMatchObject([
      { kind: 'price_differs', model: 'my-tune', severity: 'warning' },
      {
        kind: 'model_not_listed',
        model: 'gone',
        severity: 'error',
        remedy: expect.stringMatching(/waybill providers/),
      },
      { kind: 'price_unknown', model: 'gone', severity: 'warning' },
    ]);
  });

  test('one that cannot be asked is no proof of health', async () => {
    const env = await configured({ openai: { ...good(), credentials: [{ env: 'WRONG_KEY' }] } });
    const { code, stdout, stderr } = await cli(['check-drift'], env);
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'Nothing was checked.\n' });
    expect(stderr).toContain('Not checked: openai');
  });

  test('--recorded says how many calls it makes; a broken record costs no other model its answer', async () => {
    const folder = join(directory, 'recorded');
    await mkdir(folder);
    await writeFile(join(folder, 'openai--my-tune.json'), 'no record');
    const env = await configured({ openai: good() }, ['openai/my-tune', 'openai/gpt-4.1-mini']);
    const { code, stdout, stderr } = await cli(['check-drift', '--recorded', folder, '--json'], env);
    expect(code).toBe(1);
    expect(stderr).toContain('Making at most 2 real calls of one token; providers may bill them.');
    expect(stderr).toContain('Recorded the answer of openai/gpt-4.1-mini');
    expect(JSON.parse(stdout)).toMatchObject({
      checked: 1,
      not_checked: [
        { problem: expect.stringMatching(/^my-tune: .*it is no record$/), remedy: expect.stringMatching(/^remove it/) },
      ],
    });
    expect(calls().map(({ body }) => body.model)).toEqual(['gpt-4.1-mini']);
  });
});

test.for<[string[], RegExp]>([
  [['test', '--timeout', 'soon'], /--timeout: "soon" is not a duration/],
  [['models', 'a', 'b'], /too many arguments/],
])('%j is wrong usage', async ([args, message]) => {
  const { code, stderr } = await cli(args, await configured({ openai: good() }));
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});

test.for(['models', 'test', 'check-drift'])('%s with nothing configured names the next command', async (command) => {
  const { code, body } = await json<{ error: { code: string; message: string } }>([command], await configured({}));
  expect(code).toBe(1);
  expect(body.error).toMatchObject({ code: 'no_provider_configured', message: expect.stringContaining('discover') });
});

test('a configuration with faults ends with 78', async () => {
  const { code, stderr } = await cli(['models'], await configured({ openai: { presett: 'x' } }));
  expect(code).toBe(78);
  expect(stderr).toContain('did you mean "preset"?');
});

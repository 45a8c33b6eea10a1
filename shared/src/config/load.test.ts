// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are variables of the YAML file.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Problem } from '../domain/problem.ts';
import { loadConfig } from './load.ts';
import type { LocalServer } from './probe.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-load-'));
const startedIn = process.cwd();
// Without WAYBILL_CONFIG, `waybill.yaml` is looked for where the process stands: here is none.
beforeAll(() => process.chdir(folder));
afterAll(() => {
  process.chdir(startedIn);
  rmSync(folder, { recursive: true });
});
let files = 0;
function fileWith(text: string): string {
  files += 1;
  const path = join(folder, `${files}.yaml`);
  writeFileSync(path, text);
  return path;
}
const nobody = () => Promise.resolve<LocalServer[]>([]);
const mustNotProbe = () => Promise.reject(new Error('a file is there: nothing is to be found'));
const found = (env: NodeJS.ProcessEnv, servers: LocalServer[] = []) => loadConfig(env, () => Promise.resolve(servers));
const ollama: LocalServer = { preset: 'ollama', endpoint: 'http://127.0.0.1:11434', firstModel: 'qwen3' };

async function problemOf(env: NodeJS.ProcessEnv): Promise<Problem> {
  const outcome = await loadConfig(env, nobody).catch((error: unknown) => error);
  if (outcome instanceof Problem) return outcome;
  throw new Error('no problem', { cause: outcome });
}

test('a file is used as it is, and nothing is looked for', async () => {
  const path = fileWith('providers:\n  openai: { base_url: "${BASE:-http://h:1/v1}", api_key: "${KEY}" }\n');
  const loaded = await loadConfig({ WAYBILL_CONFIG: path, KEY: 'k1' }, mustNotProbe);
  expect(loaded.file).toBe(path);
  const [credential] = loaded.settings.providers.openai?.credentials ?? [];
  expect(loaded.settings.providers.openai).toMatchObject({ endpoints: [{ url: 'http://h:1/v1' }] });
  expect(credential).toMatchObject({ name: 'api_key', source: { kind: 'fixed' } });
  expect(credential?.source.kind === 'fixed' && credential.source.secret.reveal()).toBe('k1');
  expect(loaded.settings.chains.default?.targets).toEqual(['openai/gpt-4.1-mini']);
});

test('waybill.yaml is found where the process stands', async () => {
  const path = join(folder, 'waybill.yaml');
  writeFileSync(path, 'providers: { ollama: {} }');
  const loaded = await loadConfig({}, mustNotProbe).finally(() => rmSync(path));
  expect(loaded.file).toBe('waybill.yaml');
  expect(Object.keys(loaded.settings.providers)).toEqual(['ollama']);
});

test('an empty file configures nothing', async () => {
  const { settings } = await loadConfig({ WAYBILL_CONFIG: fileWith('# nothing yet\n') }, mustNotProbe);
  expect(settings).toMatchObject({ providers: {}, chains: {}, webhooks: { allowNetworks: [], timeoutMs: 10_000 } });
});

test.for<[string, NodeJS.ProcessEnv, LocalServer[], string[]]>([
  ['nobody answers and nothing is set', {}, [], []],
  ['a credential is set', { OPENAI_API_KEY: 'k' }, [], ['openai/gpt-4.1-mini']],
  ['a credential is blank', { OPENAI_API_KEY: ' ' }, [], []],
  ['a local server answers', {}, [ollama], ['ollama/qwen3']],
  [
    'both: local first',
    { OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k', GROQ_API_KEY: 'k' },
    [ollama],
    ['ollama/qwen3', 'openai/gpt-4.1-mini', 'anthropic/claude-haiku-4-5', 'groq/llama-3.3-70b-versatile'],
  ],
  [
    'LLM_PROVIDER_PRIORITY orders them',
    { OPENAI_API_KEY: 'k', LLM_PROVIDER_PRIORITY: 'openai,ollama' },
    [ollama],
    ['openai/gpt-4.1-mini', 'ollama/qwen3'],
  ],
  ['<PROVIDER>_MODEL names the model', { OLLAMA_MODEL: 'phi4' }, [ollama], ['ollama/phi4']],
  ['a server that names no model takes the default', {}, [{ ...ollama, firstModel: null }], ['ollama/llama3.2']],
  [
    'a server without any model is left out',
    {},
    [{ preset: 'vllm', endpoint: 'http://127.0.0.1:8000/v1', firstModel: null }],
    [],
  ],
  ['a disabled provider is left out of the chain', { OPENAI_API_KEY: 'k', WAYBILL_DISABLE: 'openai' }, [], []],
  ['a credential alone does not make a local server', { OLLAMA_API_KEY: 'k' }, [], []],
])('without a file: %s', async ([, env, servers, targets]) => {
  const { settings, file } = await found(env, servers);
  expect(file).toBeNull();
  expect(settings.chains.default?.targets ?? []).toEqual(targets);
});

test('a local server is used where it answered', async () => {
  const endpoint = 'http://127.0.0.1:8080/v1';
  const { settings } = await found({}, [{ preset: 'llama-cpp', endpoint, firstModel: 'qwen' }]);
  expect(settings.providers['llama-cpp']).toMatchObject({ endpoints: [{ url: endpoint }], isLocal: true });
});

test('two servers of one kind are two providers', async () => {
  const at = (port: number, firstModel: string): LocalServer => ({
    preset: 'llama-cpp',
    endpoint: `http://127.0.0.1:${port}/v1`,
    firstModel,
  });
  const { settings } = await found({}, [at(9931, 'a'), at(8080, 'b')]);
  expect(settings.chains.default?.targets).toEqual(['llama-cpp/a', 'llama-cpp-2/b']);
  expect(settings.providers['llama-cpp-2']).toMatchObject({ preset: 'llama-cpp', isLocal: true });
});

test('the search for local servers is given the environment, for their credentials', async () => {
  const seen: NodeJS.ProcessEnv[] = [];
  await loadConfig({ VLLM_API_KEY: 'k' }, (env) => {
    seen.push(env);
    return nobody();
  });
  expect(seen).toEqual([{ VLLM_API_KEY: 'k' }]);
});

test.for<[string, NodeJS.ProcessEnv, LocalServer[], string]>([
  [
    'a preset without an address of its own',
    { AZURE_OPENAI_API_KEY: 'k' },
    [],
    'AZURE_OPENAI_API_KEY is set, but azure-openai has no usual address: name its endpoints in a file; left out',
  ],
  [
    'a server without a model',
    {},
    [{ preset: 'vllm', endpoint: 'http://v', firstModel: null }],
    'vllm answers at http://v, but serves no model: left out',
  ],
])('what is left out is said: %s', async ([, env, servers, note]) => {
  expect((await found(env, servers)).settings.notes).toEqual([note]);
});

test('a single fault is a problem of its own code and place', async () => {
  const problem = await problemOf({ WAYBILL_CONFIG: fileWith('retention: { jobs: 30d }') });
  expect(problem).toMatchObject({ code: 'not_supported_yet', param: 'retention' });
});

test('several faults are one problem, a line each with its path', async () => {
  const path = fileWith('providers: { "B B": {}, openai: { limits: { rpm: 0 } } }\nchain: {}\n');
  const problem = await problemOf({ WAYBILL_CONFIG: path });
  expect(problem).toMatchObject({ code: 'invalid_config', param: null });
  const [head, ...lines] = problem.message.split('\n');
  expect(head).toBe(`Cannot use ${path}: 3 faults`);
  expect(lines.map((line) => line.trim().split(': ')[0]).toSorted()).toEqual([
    '',
    'providers.B B',
    'providers.openai.limits.rpm',
  ]);
  expect(problem.message).toContain('did you mean "chains"?');
});

test.for<[string, string, NodeJS.ProcessEnv, object]>([
  ['a syntax error', 'a: [', {}, { code: 'invalid_config', param: expect.stringMatching(/\.yaml:\d+:\d+$/) }],
  ['a variable that is not set', 'a: ${NOPE}', {}, { code: 'invalid_config', param: 'a' }],
  ['a list at the top', '- a', {}, { code: 'invalid_type' }],
  ['a text at the top', 'hello', {}, { code: 'invalid_type' }],
  [
    'faults between parts',
    'chains: { a: { targets: [x/y] } }',
    {},
    { code: 'invalid_config', param: 'chains.a.targets[0]' },
  ],
  ['the environment first', 'a: [', { LOG_LEVEL: 'loud' }, { param: 'LOG_LEVEL' }],
])('%s is a problem', async ([, text, env, expected]) => {
  expect(await problemOf({ WAYBILL_CONFIG: fileWith(text), ...env })).toMatchObject(expected);
});

test('a named file that is missing is a problem, not zero configuration', async () => {
  expect(await problemOf({ WAYBILL_CONFIG: join(folder, 'none.yaml'), OPENAI_API_KEY: 'k' })).toMatchObject({
    code: 'file_unreadable',
  });
});

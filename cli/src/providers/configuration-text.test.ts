/** What `discover` prints is a file of ours: it loads, it means what was found, and a hostile name stays a name. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '@waybill/shared/config/load.ts';
import { afterAll, expect, test } from 'vitest';
import { configurationText, type FoundProvider, isSafeModel } from './configuration-text.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-text-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function load(text: string, env: NodeJS.ProcessEnv = {}) {
  const path = join(folder, 'waybill.yaml');
  writeFileSync(path, text);
  const loaded = await loadConfig({ WAYBILL_CONFIG: path, ...env }, () => Promise.resolve([]));
  return loaded.settings;
}

const openai: FoundProvider = {
  id: 'openai',
  preset: 'openai',
  endpoint: null,
  variable: 'OPENAI_API_KEY',
  model: 'gpt-4.1-mini',
  problem: null,
};
const ollama: FoundProvider = {
  id: 'ollama',
  preset: 'ollama',
  endpoint: null,
  variable: null,
  model: 'qwen3:8b',
  problem: null,
};

test('what was found is what the file configures', async () => {
  const second = {
    ...ollama,
    id: 'llama-cpp-2',
    preset: 'llama-cpp',
    endpoint: 'http://127.0.0.1:8080/v1',
    model: 'a/b',
  };
  const settings = await load(configurationText([ollama, second, openai], ['a note']), { OPENAI_API_KEY: 'k' });
  expect(settings.chains.default?.targets).toEqual(['ollama/qwen3:8b', 'llama-cpp-2/a/b', 'openai/gpt-4.1-mini']);
  expect(settings.providers['llama-cpp-2']).toMatchObject({
    preset: 'llama-cpp',
    endpoints: [{ url: 'http://127.0.0.1:8080/v1' }],
  });
  expect(settings.providers.openai?.credentials).toMatchObject([{ name: 'OPENAI_API_KEY' }]);
});

test('one that cannot be used now is there, switched off, and in no chain', async () => {
  const settings = await load(configurationText([ollama, { ...openai, problem: 'HTTP 401\n(auth): "x"' }], []));
  expect(settings.providers.openai?.enabled).toBe(false);
  expect(settings.chains.default?.targets).toEqual(['ollama/qwen3:8b']);
});

test.for<[string, FoundProvider[], string[]]>([
  ['nothing', [], []],
  ['a provider without a model', [{ ...ollama, model: null }], ['ollama/llama3.2']],
])('%s is a file too', async ([, found, targets]) => {
  expect((await load(configurationText(found, []))).chains.default?.targets ?? []).toEqual(targets);
});

test.for<[string, string]>([
  ['quotes', 'a"b'],
  ['a comment', 'a#b'],
  ['YAML of its own', '{a:b}'],
  ['a backslash', 'a\\b'],
])('a model whose name holds %s stays that name', async ([, model]) => {
  const settings = await load(configurationText([{ ...ollama, model }], []));
  expect(Object.keys(settings.providers.ollama?.models ?? {})).toEqual([model]);
});

test('a note cannot leave its comment', async () => {
  const text = configurationText([ollama], ['left out\nproviders: { evil: {} }']);
  expect(Object.keys((await load(text)).providers)).toEqual(['ollama']);
});

test.for<[string, boolean]>([
  ['qwen3:8b', true],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the file, from a server that is not to be trusted.
  ['${OPENAI_API_KEY}', false],
  ['a b', false],
  ['a\nb', false],
  ['a\u001b[31m', false],
  ['', false],
  ['x'.repeat(201), false],
])('the name %j may stand in a file: %s', ([name, expected]) => {
  expect(isSafeModel(name)).toBe(expected);
});

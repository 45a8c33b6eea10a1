import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { parseEnvironment } from './environment.ts';
import { resolveSettings } from './resolve.ts';
import { configSchema } from './schema.ts';
import type { CredentialSettings } from './settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-credentials-'));
afterAll(() => rmSync(folder, { recursive: true }));
const fileWith = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const secretFile = fileWith('key', 'sk-from-file\n');
const emptyFile = fileWith('empty', ' \n');

const key = { OPENAI_API_KEY: 'sk-from-env' };
function resolve(id: string, change: object, env: NodeJS.ProcessEnv = key) {
  const parsed = parseEnvironment(env);
  if (parsed.kind !== 'ok') throw new Error(JSON.stringify(parsed.faults));
  return resolveSettings(configSchema.parse({ providers: { [id]: change } }) ?? {}, parsed.environment);
}
/** Name, account, and where from: the secret itself where it is known. */
const inWords = ({ name, account, source }: CredentialSettings): string =>
  `${name} of ${account}: ${source.kind === 'stored' ? 'stored' : `${source.kind} ${source.secret.reveal()}`}`;
const many = [
  { env: 'MY_KEY', account: 'main' },
  { file: secretFile, account: 'main' },
  { stored: 'backup-key', account: 'backup' },
];

describe('credentials come from', () => {
  test.for<[string, string, object, NodeJS.ProcessEnv, string[]]>([
    ['the usual variable', 'openai', {}, key, ['OPENAI_API_KEY of default: fixed sk-from-env']],
    [
      'the first of two usual variables, and no more',
      'gemini',
      {},
      { GOOGLE_API_KEY: 'g2', GEMINI_API_KEY: 'g1' },
      ['GEMINI_API_KEY of default: fixed g1'],
    ],
    [
      'the second, when the first is not set',
      'gemini',
      {},
      { GOOGLE_API_KEY: 'g2' },
      ['GOOGLE_API_KEY of default: fixed g2'],
    ],
    ['api_key, before the usual variable', 'openai', { api_key: 'own' }, key, ['api_key of default: fixed own']],
    [
      'a named variable',
      'openai',
      { credentials: [{ env: 'MY_KEY', account: 'main' }] },
      { ...key, MY_KEY: ' mine\n' },
      ['MY_KEY of main: fixed mine'],
    ],
    ['a file', 'openai', { credentials: [{ file: secretFile }] }, key, [`${secretFile} of default: file sk-from-file`]],
    ['the database', 'openai', { credentials: [{ stored: 'x' }] }, key, ['x of default: stored']],
    [
      'all that are named, in that order',
      'openai',
      { credentials: many },
      { ...key, MY_KEY: 'mine' },
      ['MY_KEY of main: fixed mine', `${secretFile} of main: file sk-from-file`, 'backup-key of backup: stored'],
    ],
    [
      'the usual variable when an empty list is named',
      'openai',
      { credentials: [] },
      key,
      ['OPENAI_API_KEY of default: fixed sk-from-env'],
    ],
    ['nowhere, for a server that asks for none', 'ollama', {}, {}, []],
    [
      'the usual variable of such a server, when it is set',
      'ollama',
      {},
      { OLLAMA_API_KEY: 'k' },
      ['OLLAMA_API_KEY of default: fixed k'],
    ],
    [
      'those that are there, of a provider that is off',
      'openai',
      { enabled: false, credentials: many },
      {},
      [`${secretFile} of main: file sk-from-file`, 'backup-key of backup: stored'],
    ],
  ])('%s', ([, id, change, env, expected]) => {
    const { settings, faults } = resolve(id, change, env);
    expect(faults).toEqual([]);
    expect(settings.providers[id]?.credentials.map(inWords)).toEqual(expected);
  });

  test('a file that can be read again, by its path', () => {
    const { settings } = resolve('openai', { credentials: [{ file: secretFile }] });
    expect(settings.providers.openai?.credentials[0]?.source).toMatchObject({ kind: 'file', path: secretFile });
  });
});

describe('a fault is', () => {
  const named = (...credentials: object[]) => ({ credentials });
  test.for<[string, string, object, NodeJS.ProcessEnv, RegExp]>([
    ['no credential where one is needed', 'openai', {}, {}, /set OPENAI_API_KEY/],
    ['none of gemini', 'gemini', {}, {}, /set GEMINI_API_KEY/],
    ['a named variable that is not set', 'ollama', named({ env: 'NOPE' }), {}, /set NOPE/],
    ['one of several that is not set', 'openai', named({ env: 'OPENAI_API_KEY' }, { env: 'NOPE' }), key, /set NOPE/],
    ['a credential in quotes', 'openai', {}, { OPENAI_API_KEY: '"sk-secret"' }, /OPENAI_API_KEY is wrapped in quotes/],
    ['a file that is missing', 'openai', named({ file: '/none' }), {}, /\/none cannot be read/],
    ['a file that is empty', 'openai', named({ file: emptyFile }), {}, /is empty/],
    [
      'a variable named twice',
      'openai',
      named({ env: 'K' }, { env: 'K', account: 'b' }),
      { K: 'x' },
      /"K" is named twice/,
    ],
    ['a stored one named twice', 'openai', named({ stored: 'x' }, { stored: 'x' }), {}, /"x" is named twice/],
  ])('%s', ([, id, change, env, message]) => {
    const { faults } = resolve(id, change, env);
    expect(faults).toMatchObject([{ path: `providers.${id}.credentials`, message: expect.stringMatching(message) }]);
    expect(JSON.stringify(faults)).not.toContain('sk-secret');
  });

  test('nothing, of a provider that is off', () => {
    expect(resolve('openai', { enabled: false, ...named({ env: 'NOPE' }) }, {}).faults).toEqual([]);
  });
});

test('a credential in clear in the file is worth a word, one from a variable is not', () => {
  const notesOf = (apiKey: string) => resolve('openai', { api_key: apiKey }).settings.notes;
  expect(notesOf('sk-in-the-file')).toEqual([
    expect.stringContaining('providers.openai.api_key holds a credential in clear'),
  ]);
  expect(notesOf('sk-from-env')).toEqual([]);
});

test('no secret shows in settings that are printed', () => {
  const { settings } = resolve('openai', { credentials: many }, { MY_KEY: 'sk-from-env' });
  for (const text of [JSON.stringify(settings), inspect(settings, { depth: 9 })])
    expect(text).not.toMatch(/sk-from-env|sk-from-file/);
});

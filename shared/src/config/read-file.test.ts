// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are variables of the YAML file.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Problem } from '../domain/problem.ts';
import { readConfigFile } from './read-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function read(text: string | Buffer, env: NodeJS.ProcessEnv = {}) {
  files += 1;
  const path = join(folder, `${files}.yaml`);
  writeFileSync(path, text);
  return { path, result: readConfigFile(path, true, env) };
}
const parsedFrom = (text: string, env?: NodeJS.ProcessEnv): unknown => {
  const { result } = read(text, env);
  if (!result || 'faults' in result) throw new Error(JSON.stringify(result));
  return result.value;
};
const faultsOf = (text: string, env?: NodeJS.ProcessEnv) => {
  const { path, result } = read(text, env);
  if (!result || !('faults' in result)) throw new Error('no fault');
  return result.faults.map((fault) => ({ ...fault, path: fault.path.replace(path, 'FILE') }));
};

test.for<[string, string, unknown]>([
  ['an empty file', '', null],
  ['comments alone', '# nothing\n', null],
  ['a byte order mark', '\uFEFFa: 1', { a: 1 }],
  ['Windows line ends', 'a: 1\r\nb: two\r\n', { a: 1, b: 'two' }],
  ['JSON', '{"a": {"b": [1, null]}}', { a: { b: [1, null] } }],
  ['some aliases', 'x: &x [1]\na: *x\nb: *x\n', { x: [1], a: [1], b: [1] }],
  ['words that older YAML read as booleans', 'a: on\nb: no\n', { a: 'on', b: 'no' }],
])('%s is read', ([, text, expected]) => {
  expect(parsedFrom(text)).toEqual(expected);
});

test.for<[string, string, NodeJS.ProcessEnv, unknown]>([
  ['a variable', 'a: ${KEY}', { KEY: 'v' }, { a: 'v' }],
  ['a variable inside a text', 'a: http://${HOST}:1/v1', { HOST: 'h' }, { a: 'http://h:1/v1' }],
  ['two variables', 'a: "${A}-${B}"', { A: '1', B: '2' }, { a: '1-2' }],
  ['a variable in a list', 'a: [{ b: "${A}" }]', { A: '1' }, { a: [{ b: '1' }] }],
  ['a default when it is not set', 'a: ${KEY:-fallback}', {}, { a: 'fallback' }],
  ['a default when it is empty', 'a: ${KEY:-fallback}', { KEY: '' }, { a: 'fallback' }],
  ['an empty default', 'a: "x${KEY:-}"', {}, { a: 'x' }],
  ['no default when it is set', 'a: ${KEY:-fallback}', { KEY: 'v' }, { a: 'v' }],
  ['a default that holds an address', 'a: ${KEY:-http://h:1/v1}', {}, { a: 'http://h:1/v1' }],
  ['a variable that ends in a line break', 'a: ${KEY}', { KEY: 'v\n' }, { a: 'v' }],
  ['a variable is replaced once only', 'a: ${KEY}', { KEY: '${KEY}' }, { a: '${KEY}' }],
  ['a dollar without braces stays', 'a: $KEY $1 $$', { KEY: 'v' }, { a: '$KEY $1 $$' }],
  ['keys are left alone', '${KEY}: a', { KEY: 'v' }, { '${KEY}': 'a' }],
])('replaced: %s', ([, text, env, expected]) => {
  expect(parsedFrom(text, env)).toEqual(expected);
});

test('every variable that is not set is named with its place, all at once', () => {
  expect(faultsOf('a: ${ONE}\nb:\n  - c: ${TWO}\n  - ${THREE}\n', { THREE: '' })).toMatchObject([
    { path: 'a', code: 'invalid_config', message: expect.stringContaining('ONE is not set') },
    { path: 'b[0].c', message: expect.stringContaining('TWO is not set') },
    { path: 'b[1]', message: expect.stringContaining('${THREE:-default}') },
  ]);
});

test.for(['"sk-live-1"', "'sk-live-1'"])('a variable wrapped in quotes (%s) is named, its value is not', (value) => {
  const faults = faultsOf('a: ${KEY}', { KEY: value });
  expect(faults).toMatchObject([{ path: 'a', message: expect.stringContaining('KEY is wrapped in quotes') }]);
  expect(JSON.stringify(faults)).not.toContain('sk-live');
});

test.for<[string, string, string]>([
  ['a syntax error', 'a: 1\nb: [1, 2\n', 'FILE:3:1'],
  ['a tab as indentation', 'a:\n\tb: 1\n', 'FILE:2:1'],
  ['a key given twice', 'providers:\n  openai: {}\n  openai: {}\n', 'FILE:3:3'],
])('%s is told with line and column', ([, text, path]) => {
  expect(faultsOf(text)[0]).toMatchObject({ path, code: 'invalid_config' });
});

test('an alias bomb is refused before it unfolds', () => {
  const levels = Array.from({ length: 9 }, (_, n) => `l${n + 1}: &l${n + 1} [${Array(9).fill(`*l${n}`).join(', ')}]`);
  const [fault] = faultsOf(`l0: &l0 [x]\n${levels.join('\n')}\n`);
  expect(fault).toMatchObject({ path: 'FILE', code: 'invalid_config', message: expect.stringContaining('alias') });
});

test('merge keys are not merged, so that they are refused as unknown', () => {
  expect(parsedFrom('x: &x { a: 1 }\ny: { <<: *x }\n')).toEqual({ x: { a: 1 }, y: { '<<': { a: 1 } } });
});

test('a tag that asks for code is text', () => {
  expect(parsedFrom('a: !!js/function "function () { throw 1 }"\n')).toEqual({ a: 'function () { throw 1 }' });
});

const problemOf = (path: string, isNamed = true): Problem => {
  try {
    readConfigFile(path, isNamed, {});
  } catch (error) {
    if (error instanceof Problem) return error;
  }
  throw new Error('no problem');
};

test('the default file may be missing', () => {
  expect(readConfigFile(join(folder, 'none.yaml'), false, {})).toBeNull();
});

test('a named file that is missing is named, with the way to make one', () => {
  const path = join(folder, 'none.yaml');
  expect(problemOf(path)).toMatchObject({ code: 'file_unreadable', message: expect.stringContaining(path) });
  expect(problemOf(path).message).toContain('waybill.example.yaml');
});

test('a folder is no file, not even as the default', () => {
  const path = join(folder, 'folder');
  mkdirSync(path);
  for (const isNamed of [true, false])
    expect(problemOf(path, isNamed)).toMatchObject({
      code: 'file_unreadable',
      message: expect.stringContaining('not a file'),
    });
});

test('a file above 1 MB is refused by its size', () => {
  const path = join(folder, 'large.yaml');
  writeFileSync(path, `# ${'x'.repeat(1024 * 1024)}`);
  expect(problemOf(path)).toMatchObject({ code: 'file_unreadable', message: expect.stringContaining('1048576') });
});

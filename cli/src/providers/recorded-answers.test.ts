/** Answers against what was recorded of them, with a provider on loopback. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Question, questionsOf } from './configured.ts';
import { checkAnswer } from './recorded-answers.ts';

const usual = {
  id: 'c1',
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'a secret answer' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 },
};
let answer: { status: number; body: unknown };
let calls = 0;
const folder = mkdtempSync(join(tmpdir(), 'waybill-answers-'));
const server = createServer((request, response) => {
  request.resume().on('end', () => {
    calls += 1;
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
  });
});
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  return new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  answer = { status: 200, body: usual };
});

function question(): Question {
  const parsed = parseEnvironment({});
  if (parsed.kind === 'faults') throw new Error('the environment is valid');
  const base_url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const { providers } = settingsOf({ providers: { mine: { base_url } } }, parsed.environment, 'the test');
  const [first] = providers.mine ? questionsOf(providers.mine) : [];
  if (!first) throw new Error('the provider can be asked');
  return first;
}
const check = (model: string, to = 'kept') =>
  checkAnswer(question(), model, join(folder, to), new AbortController().signal);

test('the first answer is recorded without its words, and the same one is no drift', async () => {
  expect(await check('org/m:1')).toEqual({ kind: 'compared', findings: [], isNew: true });
  const text = readFileSync(join(folder, 'kept', 'mine--org%2Fm%3A1.json'), 'utf8');
  expect(text).toContain('choices[].message.content');
  expect(text).not.toContain('secret');
  const before = calls;
  expect(await check('org/m:1')).toEqual({ kind: 'compared', findings: [], isNew: false });
  expect(calls - before).toBe(1);
});

test('what is gone is an error, what is new a warning', async () => {
  await check('changed');
  const { usage: _usage, ...rest } = usual;
  answer.body = { ...rest, tier: 'flex' };
  const outcome = await check('changed');
  expect(outcome).toMatchObject({ kind: 'compared', isNew: false });
  const found = outcome.kind === 'compared' ? outcome.findings.map(({ severity, kind }) => [severity, kind]) : [];
  expect(found).toContainEqual(['error', 'answer_field_gone']);
  expect(found).toContainEqual(['warning', 'answer_field_new']);
});

test('a refused call is no comparison', async () => {
  answer = { status: 401, body: { error: { message: 'no', code: 'invalid_api_key' } } };
  expect(await check('refused')).toEqual({
    ...{ kind: 'failed', problem: 'HTTP 401 (auth)' },
    remedy: 'see "waybill providers test mine --call"',
  });
});

test('models whose names differ in a sign alone have a record each', async () => {
  expect(await check('org/two')).toMatchObject({ isNew: true });
  expect(await check('org_two')).toMatchObject({ isNew: true });
});

test('a file that is no record fails its model by its name, before anything is billed', async () => {
  await check('broken');
  writeFileSync(join(folder, 'kept', 'mine--broken.json'), '{"shape":{"a":1}}');
  const before = calls;
  expect(await check('broken')).toEqual({
    kind: 'failed',
    problem: expect.stringMatching(/^Cannot read .*mine--broken\.json: it is no record$/),
    remedy: expect.stringMatching(/^remove it/),
  });
  expect(calls).toBe(before);
});

test.for([
  ['a folder where the record would be', 'read', 'kept', 'EISDIR'],
  ['a file where the folder would be', 'read', 'taken', 'ENOTDIR'],
  ['a file above the folder', 'read', 'taken/inner', 'ENOTDIR'],
])('%s fails the model, before anything is billed', async ([, action, to = '', code]) => {
  mkdirSync(join(folder, 'kept', 'mine--blocked.json'), { recursive: true });
  writeFileSync(join(folder, 'taken'), '');
  const before = calls;
  const problem = expect.stringMatching(new RegExp(`^Cannot ${action} the recorded answer .*: ${code}$`));
  expect(await check('blocked', to)).toMatchObject({ kind: 'failed', problem });
  expect(calls).toBe(before);
});

/** Files that look odd and are fine: line ends, marks, blank lines, unusual characters, many lines. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobJson } from '@waybill/producer/job-json.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { startWaybill, type TestWaybill } from '../support/waybill.ts';
import { runCli } from '../support/waybill-process.ts';

let waybill: TestWaybill;
let provider: ScriptedProvider;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waybill-lines-'));
  provider = await startScriptedProvider((request) => say(request.prompt));
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

async function enqueue(content: string, flags: readonly string[] = []) {
  const path = join(directory, 'input');
  await writeFile(path, content);
  const result = await runCli(['enqueue', path, '--json', ...flags], {
    environment: { WAYBILL_URL: waybill.url, WAYBILL_API_KEY: waybill.adminKey },
  });
  expect([result.code, result.stderr]).toEqual([0, '']);
  const report = JSON.parse(result.stdout) as { jobs: number; batch_ids: string[] };
  const jobs: JobJson[] = [];
  for (const batch of report.batch_ids)
    jobs.push(...(await waybill.client.list({ batch_id: batch, limit: '100' })).data.toReversed());
  return { ...report, answers: jobs.map((job) => job.output_text) };
}

const line = (content: string) => JSON.stringify({ body: { model: 'default', messages: [{ role: 'user', content }] } });

test.for([
  ['a byte order mark', `\ufeff${line('a')}\n`, ['a']],
  ['no line end at the end', `${line('a')}\n${line('b')}`, ['a', 'b']],
  ['Windows line ends', `${line('a')}\r\n${line('b')}\r\n`, ['a', 'b']],
  ['blank lines', `\n${line('a')}\n\n   \n${line('b')}\n\n`, ['a', 'b']],
  [
    'Unicode line ends inside a text',
    `{"model":"default","prompt":"a\u2028b\u2029c\u0085d"}`,
    ['a\u2028b\u2029c\u0085d'],
  ],
  ['a lone carriage return between tokens', `{"model":"default",\r"prompt":"a"}`, ['a']],
  ['NUL and half a surrogate pair in a prompt', `{"model":"default","prompt":"a\\u0000b"}`, ['a\u0000b']],
] as const)('JSON lines with %s', async ([, content, answers]) => {
  expect((await enqueue(content)).answers).toEqual(answers);
});

test.for([
  ['Windows line ends', 'say a\r\nsay b\r\n', ['say a', 'say b']],
  ['a lone carriage return', 'say a\rand b\nsay c', ['say a\rand b', 'say c']],
  ['characters of every width', 'é\n語\n😀\n', ['é', '語', '😀']],
  ['a table', 'name,age\nann,7\n', ['name,age', 'ann,7']],
] as const)('prompts with %s', async ([, content, answers]) => {
  expect((await enqueue(content)).answers).toEqual(answers);
});

test('a character cut in two by a chunk of the file stays whole', async () => {
  const prompt = `${'x'.repeat(65_535 - 1)}語`;
  expect((await enqueue(prompt)).answers).toEqual([prompt]);
});

test('a line of exactly 1 MB is the longest', async () => {
  const empty = line('');
  const longest = line('x'.repeat(1024 * 1024 - empty.length));
  expect(Buffer.byteLength(longest)).toBe(1024 * 1024);
  expect((await enqueue(longest)).jobs).toBe(1);
});

test('more lines than one request takes are sent in parts, in order', async () => {
  // For later: run now, they would hold up the jobs of the tests after this one.
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const lines = Array.from({ length: 1_100 }, (_, index) =>
    JSON.stringify({ model: 'default', prompt: `p${index}`, run_at: later }),
  );
  const path = join(directory, 'many');
  await writeFile(path, lines.join('\n'));
  const result = await runCli(['enqueue', path, '--json', '--no-wait'], {
    environment: { WAYBILL_URL: waybill.url, WAYBILL_API_KEY: waybill.adminKey },
  });
  const report = JSON.parse(result.stdout) as { jobs: number; batch_ids: string[] };
  expect([report.jobs, report.batch_ids.length]).toEqual([1_100, 3]);
  const totals = await Promise.all(
    report.batch_ids.map(async (id) => (await waybill.client.list({ batch_id: id, limit: '1' })).counts ?? {}),
  );
  expect(totals.map((counts) => Object.values(counts).reduce((sum, count) => sum + count, 0))).toEqual([500, 500, 100]);
});

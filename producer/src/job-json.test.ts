import type { AttemptRow, JobRow } from '@waybill/shared/store/jobs.ts';
import { expect, test } from 'vitest';
import { toJobJson } from './job-json.ts';

const at = new Date('2026-01-02T03:04:05.678Z');
const job = {
  id: 'job_1',
  run: 2,
  status: 'succeeded',
  priority: 1,
  created_at: at,
  queued_at: at,
  deadline_at: at,
  run_at: null,
  started_at: at,
  finished_at: at,
  error_kind: null,
} as unknown as JobRow;
const attempt = {
  n: 1,
  run: 2,
  status: 'succeeded',
  started_at: at,
  duration_ms: 5,
  usage: JSON.stringify({ inputTokens: 10, outputTokens: 4, reasoningTokens: 3 }),
  cost_nano: '1000000',
  cost_basis: 'computed',
  failure_kind: null,
  warnings: null,
} as unknown as AttemptRow;

const usageOf = (rows: readonly Partial<AttemptRow>[], row: Partial<JobRow> = {}) =>
  toJobJson({ job: { ...job, ...row }, attempts: rows.map((each) => ({ ...attempt, ...each })), output: null }).usage;

test.for<[string, Partial<AttemptRow>[], number | null]>([
  ['that of the attempt that delivered', [{}], 14],
  ['the sum, when the answer came in parts', [{ is_part: true }, { is_part: true }, {}], 42],
  ['without attempts that failed', [{ status: 'failed' }, {}], 14],
  ['without other runs', [{ run: 1 }, {}], 14],
  ['unknown, when that of a part is', [{ is_part: true, usage: null }, {}], null],
  ['unknown, when the provider did not say', [{ usage: null }], null],
])('the usage of a job is %s', ([, attempts, tokens]) => {
  expect(usageOf(attempts)?.total_tokens ?? null).toBe(tokens);
});

test('the parts of a sum are summed as well', () => {
  expect(usageOf([{ is_part: true }, {}])).toMatchObject({
    prompt_tokens: 20,
    completion_tokens: 8,
    completion_tokens_details: { reasoning_tokens: 6 },
  });
});

test.for(['queued', 'in_progress', 'failed', 'cancelled'] as const)('a job that is %s has no usage yet', (status) => {
  expect(usageOf([{ is_part: true }], { status })).toBeNull();
});

test.for<[string, unknown, string | null]>([
  ['a chat', { choices: [{ message: { content: 'hello' } }] }, 'hello'],
  ['a call of a tool', { choices: [{ message: { content: null } }] }, null],
  ['embeddings', { object: 'list', data: [{ embedding: [1] }] }, null],
])('the text of the output of %s', ([, output, text]) => {
  const json = toJobJson({ job, attempts: [attempt], output: JSON.stringify(output) });
  expect(json.output).toEqual(output);
  expect(json.output_text).toBe(text);
});

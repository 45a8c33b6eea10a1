import type { JobJson } from '@waybill/producer/job-json.ts';
import { expect, test } from 'vitest';
import { fallbacksByReason, percentile, renderSummary, summarise } from './summary.ts';

type Attempt = [target: string, status: string, kind: string | null, cost: string | null];
const job = (status: string, ms: number, attempts: readonly Attempt[]): JobJson =>
  ({
    status,
    created_at: new Date(0).toISOString(),
    finished_at: new Date(ms).toISOString(),
    cost_unknown_attempts: attempts.filter(([, , , cost]) => cost === null).length,
    attempts: attempts.map(([target, attemptStatus, kind, cost]) => ({
      target,
      status: attemptStatus,
      failure: kind === null ? null : { kind },
      cost_usd: cost,
    })),
  }) as unknown as JobJson;

const jobs = [
  job('succeeded', 100, [['a/m', 'succeeded', null, '0.001']]),
  job('succeeded', 300, [
    ['a/m', 'failed', 'timeout', null],
    ['b/m', 'succeeded', null, '0.0000005'],
  ]),
  job('failed', 200, [
    ['a/m', 'failed', 'server_error', '0.00'],
    ['a/m', 'failed', 'server_error', '0.00'],
    ['b/m', 'failed', 'overloaded', '0.00'],
  ]),
];

test('the summary adds up', () => {
  expect(summarise(jobs, 3)).toEqual({
    jobs: 3,
    succeeded: 2,
    failed: 1,
    attempts: 6,
    fallbacks: 2,
    cost_usd: '0.0010005',
    cost_unknown_attempts: 1,
    webhooks_verified: 3,
    p50_ms: 200,
    p95_ms: 300,
    by_provider: {
      a: { attempts: 4, succeeded: 1, failed: 3, cost_usd: '0.001' },
      b: { attempts: 2, succeeded: 1, failed: 1, cost_usd: '0.0000005' },
    },
  });
});

test('a fallback is counted by what caused it; a retry is none', () => {
  expect(fallbacksByReason(jobs)).toEqual({ timeout: 1, server_error: 1 });
});

test('percentiles are values that occurred', () => {
  expect([
    percentile([], 0.5),
    percentile([7], 0.95),
    percentile([1, 2, 3, 4], 0.5),
    percentile([1, 2, 3, 4], 0.95),
  ]).toEqual([0, 7, 2, 4]);
});

test('the text says what the object says', () => {
  const text = renderSummary(summarise(jobs, 3), fallbacksByReason(jobs), ['Look: http://x']);
  expect(text).toContain('3: 2 succeeded, 1 failed, 6 attempts');
  expect(text).toContain('1 timeout, 1 server_error');
  expect(text).toContain('1 attempts whose cost nobody knows');
  expect(text).toMatch(/a\s+4\s+1\s+3\s+\$0\.001/);
});

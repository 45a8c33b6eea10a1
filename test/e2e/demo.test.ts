/** The demo, as its first reader runs it. */
import { expect, test } from 'vitest';
import { runCli } from '../support/waybill-process.ts';

test('the demo delivers every job, falls back on the way, and every webhook verifies', async () => {
  const { code, stdout, stderr } = await runCli(['demo', '--json']);
  expect(stderr).toBe('');
  const summary = JSON.parse(stdout) as Record<string, unknown>;
  expect(Object.keys(summary)).toEqual([
    'jobs',
    'succeeded',
    'failed',
    'attempts',
    'fallbacks',
    'cost_usd',
    'cost_unknown_attempts',
    'webhooks_verified',
    'p50_ms',
    'p95_ms',
    'by_provider',
  ]);
  expect(summary).toMatchObject({ jobs: 320, succeeded: 320, failed: 0, webhooks_verified: 320 });
  expect(summary.fallbacks).toBeGreaterThan(0);
  expect(summary.attempts).toBeGreaterThan(320);
  expect(Number(summary.cost_usd)).toBeGreaterThan(0);
  expect(code).toBe(0);
});

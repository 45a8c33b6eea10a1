import { expect, test } from 'vitest';
import { type EndedJobCost, type EndedJobFacts, webhookPayload } from './webhook-payload.ts';

const job: EndedJobFacts = {
  id: 'job_1',
  custom_id: 'doc-17',
  batch_id: null,
  status: 'succeeded',
  target: 'openai/gpt',
  error_kind: null,
  error_message: null,
  metadata: { team: 'search' },
};
const usage = {
  inputTokens: 10,
  outputTokens: 5,
  cacheReadTokens: 4,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 2,
  audioInputTokens: 0,
  audioOutputTokens: 0,
};
const cost: EndedJobCost = { nano: 1_500_000n, unknown: 1, usage };
const at = new Date('2026-01-02T03:04:05.678Z');

test('a success tells the target, the usage and the cost of all attempts', () => {
  expect(JSON.parse(webhookPayload('job.succeeded', job, cost, at))).toEqual({
    type: 'job.succeeded',
    timestamp: '2026-01-02T03:04:05.678Z',
    data: {
      id: 'job_1',
      custom_id: 'doc-17',
      batch_id: null,
      status: 'succeeded',
      target: 'openai/gpt',
      usage: expect.objectContaining({ prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }),
      cost_usd: '0.0015',
      cost_unknown_attempts: 1,
      error: null,
      metadata: { team: 'search' },
    },
  });
});

test('a failure tells why, and names no target: none delivered', () => {
  const failed = { ...job, status: 'failed', error_kind: 'timeout', error_message: 'no answer' };
  const { data } = JSON.parse(webhookPayload('job.failed', failed, { ...cost, usage: null }, at));
  expect(data).toMatchObject({
    status: 'failed',
    target: null,
    usage: null,
    error: { kind: 'timeout', message: 'no answer' },
  });
});

test('fields of the row that are not documented are not told', () => {
  const row = { ...job, request: 'canary', tenant_id: 'canary', traceparent: 'canary' };
  expect(webhookPayload('job.succeeded', row, cost, at)).not.toContain('canary');
});

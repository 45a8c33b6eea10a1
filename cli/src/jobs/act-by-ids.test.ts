import type { JobJson } from '@waybill/producer/job-json.ts';
import { expect, test } from 'vitest';
import { exitCodeOf } from '../exit-codes.ts';
import { conflictOf } from './act-by-ids.ts';

test.each<[Parameters<typeof conflictOf>[0], JobJson['status'], string, string, RegExp]>([
  ['pause', 'succeeded', 'succeeded', 'already_terminal', /^Cannot pause job_1: it is succeeded; only queued jobs/],
  ['pause', 'in_progress', 'in_progress', 'invalid_value', /it is in_progress; only queued jobs can be paused$/],
  ['resume', 'in_progress', 'in_progress', 'invalid_value', /only paused jobs can be resumed$/],
  ['resume', 'queued', 'busy', 'storage_unavailable', /it is being changed right now\. Try again$/],
])('%s of a job that is %s (%s) is %s, and no wrong usage', (action, status, reason, code, message) => {
  const problem = conflictOf(action, { id: 'job_1', status } as JobJson, reason);
  expect(problem).toMatchObject({ code, message: expect.stringMatching(message) });
  expect(exitCodeOf(problem)).toBe(1);
});

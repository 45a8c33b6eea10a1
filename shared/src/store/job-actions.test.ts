import { describe, expect, it } from 'vitest';
import { jobStatuses } from '../domain/job.ts';
import { jobActions, reasonToSkip } from './job-actions.ts';
import type { JobRow } from './jobs.ts';

describe('what a job may be changed to', () => {
  const beganAt = new Date('2026-06-01Z');
  const job = (status: JobRow['status'], more: Partial<JobRow> = {}) => ({
    ...{ status, paused_at: null, finished_at: null },
    ...more,
  });
  it.each([
    ['cancel', ['queued', 'in_progress', 'awaiting_approval']],
    ['pause', ['queued']],
    ['resume', []],
    ['retry', ['failed', 'cancelled', 'expired']],
  ] as const)('%s changes %j, and names the status of the rest', (action, changed) => {
    for (const status of jobStatuses)
      expect(reasonToSkip(action, job(status), beganAt)).toBe(changed.some((each) => each === status) ? null : status);
  });

  it('is about the pause where there is one', () => {
    const paused = job('queued', { paused_at: new Date('2026-01-01Z') });
    expect(jobActions.map((action) => reasonToSkip(action, paused, beganAt))).toEqual([null, 'queued', 'paused', null]);
  });

  it('leaves a job alone that ended after the action began', () => {
    const ended = (at: string) => reasonToSkip('retry', job('failed', { finished_at: new Date(at) }), beganAt);
    expect([ended('2026-06-01Z'), ended('2026-06-01T00:00:00.001Z')]).toEqual([null, 'ended_since']);
  });
});

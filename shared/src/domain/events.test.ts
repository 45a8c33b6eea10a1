import { expect, test } from 'vitest';
import { eventId, jobEventTypes } from './events.ts';

const jobId = 'job_0193a5b27c4d7e8f9a0b1c2d3e4f5061';

test('an event is named by its job, its run and what happened', () => {
  expect(eventId(jobId, 2, 'job.succeeded')).toBe('evt_0193a5b27c4d7e8f9a0b1c2d3e4f5061_2_succeeded');
});

test.for(jobEventTypes)('the id of %s has no dot, which would break the signed text', (type) => {
  expect(eventId(jobId, 1, type)).not.toContain('.');
});

test('each type and each run has an id of its own, and the same id when told again', () => {
  const told = jobEventTypes.flatMap((type) => [1, 2].map((run) => eventId(jobId, run, type)));
  const again = jobEventTypes.flatMap((type) => [1, 2].map((run) => eventId(jobId, run, type)));
  expect(new Set(told).size).toBe(8);
  expect(again).toEqual(told);
});

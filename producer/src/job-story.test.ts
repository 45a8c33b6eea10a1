import { decisionKinds, type WaitingReason, waitingReasons } from '@waybill/shared/domain/job.ts';
import { expect, test } from 'vitest';
import { type StoryEnds, type StoryJob, storyOf } from './job-story.ts';

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const plain: StoryJob = {
  ...{ status: 'queued', model: 'default', chain: 'default', config_version: 'v1', config_version_now: 'v1' },
  ...{ require: [], detected: [], waiting: null, decisions: [], attempts: [], answer: null },
  costs: { cost_usd: '0.00', unknown_attempts: 0 },
};
const ends: StoryEnds = { createdAt: at(0), finishedAt: null, target: 'a/m', error: null };
const attempt = {
  ...{
    n: 1,
    target: 'a/m',
    status: 'failed',
    started_at: at(1),
    duration_ms: 12,
    cost_usd: '0.00',
    cost_basis: 'none',
  },
  failure: { kind: 'overloaded', http_status: 503 },
};
const decision: StoryJob['decisions'][number] = {
  ...{ at: at(2), kind: 'fall_back', from: 'a/m', to: 'b/n', why: 'overloaded (HTTP 503)' },
  skipped: [{ target: 'c/o', detail: 'its breaker is open' }],
};
const tell = (job: Partial<StoryJob>, end: Partial<StoryEnds> = {}) =>
  storyOf({ ...plain, ...job }, { ...ends, ...end });

test('a job that fell back and was answered is told in order', () => {
  const answered = {
    ...{ ...attempt, n: 2, target: 'b/n', status: 'succeeded', failure: null, started_at: at(3) },
    cost_usd: '0.0012',
  };
  const routed = { ...decision, at: at(0), kind: 'routed', from: null, to: 'a/m', why: 'targets left out' } as const;
  const job: Partial<StoryJob> = {
    ...{ status: 'succeeded', answer: 'target', require: ['eu'], detected: ['iban'] },
    ...{ attempts: [attempt, answered], decisions: [routed, decision] },
    costs: { cost_usd: '0.0012', unknown_attempts: 1 },
  };
  expect(tell(job, { finishedAt: at(4), target: 'b/n' })).toEqual([
    `Accepted at ${at(0)} for the chain "default", under configuration v1.`,
    'It requires the label eu, and its request holds iban.',
    'It began at a/m; left out: c/o (its breaker is open).',
    'Attempt 1 at a/m failed after 12 ms: overloaded (HTTP 503).',
    'It went on from a/m to b/n: overloaded (HTTP 503); not possible: c/o (its breaker is open).',
    'Attempt 2 at b/n was answered after 12 ms, for $0.0012.',
    `It succeeded at ${at(4)} with the answer of b/n. Cost: $0.0012 and 1 attempt(s) of unknown cost.`,
  ]);
});

test.for<[Partial<StoryJob>, Partial<StoryEnds>, string]>([
  [
    { status: 'failed' },
    { error: { kind: 'attempts_exhausted', message: 'a/m: HTTP 503' } },
    `It failed at ${at(9)} as attempts_exhausted: a/m: HTTP 503. Cost: $0.00.`,
  ],
  [{ status: 'failed' }, {}, `It failed at ${at(9)} as unknown: no message. Cost: $0.00.`],
  [{ status: 'cancelled' }, {}, `It was cancelled at ${at(9)}. Cost: $0.00.`],
  [{ status: 'expired' }, {}, `It expired at ${at(9)}, its deadline. Cost: $0.00.`],
  [
    { status: 'succeeded', answer: 'last_resort' },
    {},
    `It ended at ${at(9)}: no target answered, so the chain's last resort did. Cost: $0.00.`,
  ],
])('an end: %j %j', ([job, end, expected]) => {
  expect(tell(job, { finishedAt: at(9), ...end }).at(-1)).toBe(expected);
});

test('a job that waits says for what, for how long, and that its policy is no longer what it was', () => {
  const waiting = { reason: 'rate_limit', until: at(30), position: 3 } as const;
  expect(tell({ waiting, config_version_now: 'v2' }).slice(1)).toEqual([
    'The configuration is v2 now: its policy decides what comes next.',
    `It waits for a limit of a/m, until ${at(30)}, at position 3 of its tenant's jobs.`,
  ]);
  const reasons = waitingReasons.map((reason: WaitingReason) =>
    tell({ waiting: { reason, until: null, position: null } }).at(-1),
  );
  expect(new Set(reasons).size).toBe(waitingReasons.length);
});

test.for([
  ['started', null, 'Attempt 1 at a/m is under way.'],
  ['aborted', null, 'Attempt 1 at a/m was ended by Waybill after 12 ms, at an unknown cost.'],
  ['superseded', '0.01', 'Attempt 1 at a/m came too late to count after 12 ms, for $0.01.'],
  ['unknown', null, 'Attempt 1 at a/m ended with its worker; what became of it is unknown, at an unknown cost.'],
] as const)('an attempt that is %s', ([status, cost, expected]) => {
  const one = { ...attempt, status, failure: null, cost_usd: cost, cost_basis: cost === null ? 'unknown' : 'reported' };
  expect(tell({ attempts: [one] })[1]).toBe(expected);
});

test('every kind of decision has a sentence of its own', () => {
  const told = decisionKinds.map((kind) => tell({ decisions: [{ ...decision, kind }] })[1]);
  expect(new Set(told).size).toBe(decisionKinds.length);
  for (const sentence of told) expect(sentence).toMatch(/^(?:It|From|Somebody) .*\.$/);
  expect(tell({ decisions: [{ ...decision, kind: 'retry', to: null, why: 'on request', skipped: [] }] })[1]).toBe(
    'It was started again at a/m, on request.',
  );
});

test('what began it: a target, a class, labels without a finding', () => {
  expect(tell({ model: 'a/m', chain: null })[0]).toContain('for the target a/m,');
  expect(tell({ model: 'auto' })[0]).toContain('for the chain "default" (model "auto"),');
  expect(tell({ require: ['eu', 'local'] })[1]).toBe('It requires the labels eu, local.');
  expect(tell({ detected: ['email'] })[1]).toBe('It requires no label, and its request holds email.');
});

test('of a long story the first and the latest steps are told', () => {
  const attempts = Array.from({ length: 100 }, (_, index) => ({ ...attempt, n: index + 1, started_at: at(index) }));
  const story = tell({ attempts });
  expect(story).toHaveLength(1 + 51);
  expect(story[10]).toMatch(/^Attempt 10 /);
  expect(story[11]).toBe('(50 more steps)');
  expect(story.at(-1)).toMatch(/^Attempt 100 /);
});

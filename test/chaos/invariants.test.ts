/** The checks find what they are for: a run that holds, and one change at a time that must be found. */
import { describe, expect, test } from 'vitest';
import type { AttemptEvidence, Call, Evidence, JobEvidence, LedgerEvidence } from './evidence.ts';
import { checkRun, type Expectations } from './invariants.ts';

const job: JobEvidence = {
  id: 'j1',
  customId: 'job-1',
  status: 'succeeded',
  errorKind: null,
  run: 1,
  createdAtMs: 0,
  finishedAtMs: 2_000,
  hasOutput: true,
  outputAttempt: 2,
  isOwnOutput: true,
};
const lostAttempt: AttemptEvidence = {
  jobId: 'j1',
  n: 1,
  run: 1,
  target: 'a/m',
  status: 'unknown',
  failureKind: 'unknown',
  workerId: 'dead',
  startedAtMs: 100,
  endedAtMs: 900,
  costNano: null,
  costBasis: 'unknown',
};
const attempt: AttemptEvidence = {
  ...lostAttempt,
  n: 2,
  status: 'succeeded',
  failureKind: null,
  workerId: 'alive',
  startedAtMs: 1_000,
  endedAtMs: 2_000,
  costNano: 7n,
  costBasis: 'computed',
};
const lostRow: LedgerEvidence = {
  id: '1',
  jobId: 'j1',
  attempt: 1,
  costNano: null,
  costBasis: 'unknown',
  correctsId: null,
};
const row: LedgerEvidence = { ...lostRow, id: '2', attempt: 2, costNano: 7n, costBasis: 'computed' };
/** Held open by a worker whose lease ends at 900, beyond the start of the next one. */
const lostCall: Call = {
  provider: 'a',
  prompt: 'job-1',
  tokens: 1_500,
  beganAtMs: 101,
  endedAtMs: 1_500,
  isAborted: false,
  status: 200,
};
const call: Call = { ...lostCall, beganAtMs: 1_001, endedAtMs: 1_999 };
const delivery = { jobId: 'j1', eventId: 'e1', type: 'job.succeeded', status: 'delivered' };
const told = {
  t: 2_100,
  event: 'delivery',
  webhookId: 'e1',
  type: 'job.succeeded',
  jobId: 'j1',
  isVerified: true,
  mode: 'ok',
  status: 204,
} as const;

const evidence: Evidence = {
  accepted: new Map([['job-1', { customId: 'job-1', id: 'j1', hasWebhook: true, isInBatch: true }]]),
  contradictions: [],
  jobs: [job],
  attempts: [lostAttempt, attempt],
  ledger: [lostRow, row],
  deliveries: [delivery],
  workers: [
    { id: 'dead', pid: 1, leaseUntilMs: 900 },
    { id: 'alive', pid: 2, leaseUntilMs: 9_000 },
  ],
  calls: [lostCall, call],
  delivered: [told],
  faults: [{ kind: 'worker SIGKILL', hit: 'worker-1', pid: 1, startedAtMs: 500, endedAtMs: 600 }],
};
const expectations: Expectations = {
  limit: 1,
  failing: new Map(),
  isEveryWebhookDelivered: true,
  recoveryLimitS: 60,
  takeoverLimitS: 60,
  longestCallMs: null,
};

const check = (change: Partial<Evidence>, wanted: Partial<Expectations> = {}) =>
  checkRun({ ...evidence, ...change }, { ...expectations, ...wanted });

test('a run that holds has no violation, and its numbers say what it was', () => {
  const { violations, numbers } = check({});
  expect(violations).toEqual([]);
  expect(numbers).toMatchObject({
    jobs: 1,
    lost: 0,
    doubled: 0,
    unknown: 1,
    paidTwice: 1,
    highest: 1,
    highestHeld: 2,
    worstRecoveryS: 1.4,
    worstTakeoverS: 0.5,
  });
});

const aliveFirst = evidence.workers.map((worker) => ({ ...worker, leaseUntilMs: 9_000 }));
const failed: JobEvidence = { ...job, status: 'failed', hasOutput: false, outputAttempt: null };

describe('a violation is found', () => {
  test.for<[string, string, Partial<Evidence>, Partial<Expectations>?]>([
    ['a job that was lost', 'I1', { jobs: [] }],
    ['a job that is not final', 'I1', { jobs: [{ ...job, status: 'in_progress', finishedAtMs: null }] }],
    ['a job that is stored twice', 'I1', { jobs: [job, { ...job, id: 'j2' }] }],
    ['a job that nobody was promised', 'I1', { jobs: [job, { ...job, id: 'j2', customId: 'job-2' }] }],
    ['two answers to one key', 'I1', { contradictions: ['job-1 was j1, and then j2'] }],
    ['a failure nobody expected', 'I1', { jobs: [{ ...failed, errorKind: 'network' }] }],
    ['a success where a failure was expected', 'I1', {}, { failing: new Map([['job-1', 'poison_job']]) }],
    ['two successes', 'I2', { attempts: [{ ...lostAttempt, status: 'succeeded', costNano: 7n }, attempt] }],
    ['an attempt left open', 'I2', { attempts: [{ ...lostAttempt, status: 'started' }, attempt] }],
    ['no output', 'I2', { jobs: [{ ...job, hasOutput: false, outputAttempt: null }] }],
    ['the output of another attempt', 'I2', { jobs: [{ ...job, outputAttempt: 1 }] }],
    ['the output of another job', 'I2', { jobs: [{ ...job, isOwnOutput: false }] }],
    ['a call without an attempt', 'I3', { calls: [lostCall, call, { ...call, beganAtMs: 1_600 }] }],
    ['a call before its attempt', 'I3', { calls: [{ ...lostCall, beganAtMs: 50 }, call] }],
    ['a call for a job that is not there', 'I3', { calls: [lostCall, call, { ...call, prompt: 'job-9' }] }],
    ['an attempt that is not booked', 'I4', { ledger: [lostRow] }],
    ['an attempt that is booked twice', 'I4', { ledger: [lostRow, row, { ...row, id: '3' }] }],
    ['another cost in the ledger', 'I4', { ledger: [lostRow, { ...row, costNano: 8n }] }],
    ['an unknown cost that is booked as known', 'I4', { ledger: [{ ...lostRow, costNano: 7n }, row] }],
    ['a row of no attempt', 'I4', { ledger: [lostRow, row, { ...row, id: '3', attempt: 3 }] }],
    ['calls above the limit', 'I5', { workers: aliveFirst }],
    ['two calls of one job at live workers', 'I5', { workers: aliveFirst }, { limit: 2 }],
    ['a job that was never told', 'I6', { delivered: [] }],
    ['a job that was told under two ids', 'I6', { delivered: [told, { ...told, webhookId: 'e2' }] }],
    ['two rows for one event', 'I6', { deliveries: [delivery, { ...delivery, eventId: 'e2' }] }],
    ['an event of another end', 'I6', { deliveries: [{ ...delivery, type: 'job.failed' }] }],
    ['a wrong signature', 'I6', { delivered: [{ ...told, isVerified: false }] }],
    ['a redirect that was followed', 'I6', { delivered: [told, { ...told, event: 'trap' }] }],
    ['an innocent job that is called poison', 'I7', { jobs: [{ ...failed, errorKind: 'poison_job' }] }],
    ['a call that does not end', 'I9', { calls: [lostCall, { ...call, endedAtMs: null }] }, { longestCallMs: 5_000 }],
    ['a recovery that takes too long', 'I10', {}, { recoveryLimitS: 1 }],
    ['a takeover that takes too long', 'I10', {}, { takeoverLimitS: 0.1 }],
    ['a second payment without a reason', 'I12', { attempts: [{ ...lostAttempt, status: 'failed' }, attempt] }],
  ])('%s', ([, invariant, change, wanted]) => {
    const { violations } = check(change, wanted);
    expect(violations.map((violation) => violation.invariant)).toContain(invariant);
  });
});

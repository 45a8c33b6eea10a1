import type { Settings } from '@waybill/shared/config/settings.ts';
import type { Candidate } from '@waybill/shared/routing/candidates.ts';
import type { AttemptRow, JobRow } from '@waybill/shared/store/jobs.ts';
import type { DecisionRow } from '@waybill/shared/store/tables.ts';
import { expect, test } from 'vitest';
import { toExplanationJson } from './explain-json.ts';

const nowMs = Date.UTC(2026, 0, 1);
const at = (second: number) => new Date(nowMs + second * 1_000);
const job = {
  ...{ id: 'job_1', status: 'queued', requested_model: 'default', chain: 'default', config_version: 'v1', priority: 1 },
  ...{ require: [], detected: [], target: 'b/n', targets: ['a/m', 'b/n'], run: 2, max_cost_nano: null },
  ...{ created_at: at(-60), queued_at: at(-30), deadline_at: at(60), run_at: null, started_at: null },
  ...{ finished_at: null, waiting_reason: null, waiting_since: null, waiting_until: null, is_last_resort: false },
  ...{ error_kind: null, error_message: null, metadata: {} },
} as unknown as JobRow;
const attempt = {
  ...{ n: 1, run: 2, target: 'a/m', status: 'failed', failure_kind: 'overloaded', retry_at: null, usage: null },
  ...{ started_at: at(-20), duration_ms: 5, cost_nano: '0', cost_basis: 'none', warnings: null },
} as unknown as AttemptRow;
const eligible = (target: string): Candidate => ({ target, kind: 'eligible' });

function explain(
  change: { job?: Partial<JobRow>; attempts?: Partial<AttemptRow>[]; decisions?: Partial<DecisionRow>[] },
  found: readonly Candidate[] = [eligible('a/m'), eligible('b/n')],
) {
  const attempts = (change.attempts ?? []).map((each) => ({ ...attempt, ...each }));
  return toExplanationJson({
    view: { job: { ...job, ...change.job }, attempts, output: null },
    place: { position: 2, etaMs: 500 },
    decisions: (change.decisions ?? []).map((each) => ({ ...decision, ...each })),
    candidates: found,
    ...{ standings: [], settings: { version: 'v2' } as Settings, seesAll: true, nowMs },
  });
}
const decision = {
  ...{ job_id: 'job_1', run: 2, seq: 3, kind: 'fall_back', target: 'a/m', next_target: 'b/n', why: 'overloaded' },
  ...{ detail: null, config_version: 'v1', at: at(-10) },
} as DecisionRow;

const free = { status: 'eligible', reason: null, detail: null, until: null };
test.for<[string, Partial<AttemptRow>[], object]>([
  ['was not called', [], { ...free, attempts: 0, last_failure: null }],
  ['failed for good', [{}], { status: 'tried', reason: 'overloaded', attempts: 1, last_failure: 'overloaded' }],
  ['failed in an earlier run', [{ run: 1 }], { ...free, attempts: 1, last_failure: 'overloaded' }],
  ['lost its worker', [{ status: 'unknown', failure_kind: null }], { ...free, attempts: 1, last_failure: 'unknown' }],
  [
    'was left for a limit that is not over',
    [{ failure_kind: 'rate_limit', retry_at: at(5) }],
    { status: 'skipped', reason: 'left', detail: 'left for rate_limit', until: at(5).toISOString() },
  ],
  ['was left for a limit that is over', [{ failure_kind: 'rate_limit', retry_at: at(-5) }], free],
  ['was left for a pause whose end nobody named', [{ failure_kind: 'billing' }], free],
])('a target that %s', ([, attempts, expected]) => {
  expect(explain({ attempts }).targets[0]).toMatchObject(expected);
});

test('the target where a job is stands open, though it failed there; of a final job it was tried', () => {
  const attempts = [{ target: 'b/n' }];
  expect(explain({ attempts }).targets[1]).toMatchObject({ status: 'eligible', last_failure: 'overloaded' });
  expect(explain({ attempts, job: { status: 'failed' } }).targets[1]).toMatchObject({ status: 'tried' });
});

test('what holds for all jobs, and a target its chain has got since, are named', () => {
  const found: Candidate[] = [
    { target: 'a/m', kind: 'skipped', reason: 'breaker', detail: 'its breaker is open', untilMs: nowMs + 1_000 },
    { target: 'b/n', kind: 'skipped', reason: 'disabled', detail: 'provider "b" is disabled', untilMs: null },
    eligible('c/o'),
  ];
  expect(explain({ attempts: [{}] }, found).targets).toMatchObject([
    { status: 'skipped', reason: 'breaker', until: at(1).toISOString(), attempts: 1 },
    { status: 'skipped', reason: 'disabled', until: null },
    { status: 'skipped', reason: 'not_of_job', attempts: 0 },
  ]);
});

test.for<[string, Partial<JobRow>, object]>([
  ['its turn', {}, { reason: 'turn', since: at(-30).toISOString(), until: null, position: 2, eta_ms: 500 }],
  ['its turn, since its time came', { run_at: at(-5) }, { reason: 'turn', since: at(-5).toISOString() }],
  [
    'a limit',
    { waiting_reason: 'rate_limit', waiting_since: at(-3), waiting_until: at(3) },
    { reason: 'rate_limit', since: at(-3).toISOString(), until: at(3).toISOString() },
  ],
  [
    'somebody',
    { status: 'awaiting_approval', waiting_reason: 'approval', waiting_since: at(-4), waiting_until: at(60) },
    { reason: 'approval', since: at(-4).toISOString(), until: at(60).toISOString() },
  ],
])('it waits for %s', ([, change, expected]) => {
  expect(explain({ job: change }).waiting).toMatchObject(expected);
});

test('decisions say from where to where, and what stood against others, as far as it was kept', () => {
  const skipped = [{ target: 'c/o', reason: 'label', detail: 'lacks the label "eu"' }];
  const found = explain({
    decisions: [
      { kind: 'routed', target: 'a/m', next_target: null, detail: JSON.stringify(skipped), at: at(-40) },
      { detail: `${JSON.stringify(skipped).slice(0, 20)}` },
      { kind: 'retry', detail: '{"model":"low-cost"}' },
    ],
  });
  expect(found.decisions).toMatchObject([
    { kind: 'routed', from: null, to: 'a/m', skipped, at: at(-40).toISOString(), run: 2, config_version: 'v1' },
    { kind: 'fall_back', from: 'a/m', to: 'b/n', skipped: [] },
    { kind: 'retry', skipped: [] },
  ]);
  expect(found.summary.length).toBeGreaterThan(4);
});

test.for<[Partial<JobRow>, string | null]>([
  [{ status: 'succeeded' }, 'target'],
  [{ status: 'succeeded', is_last_resort: true }, 'last_resort'],
  [{ status: 'failed' }, null],
  [{ status: 'in_progress' }, null],
])('the answer of %j is of %j', ([change, answer]) => {
  expect(explain({ job: { ...change, finished_at: at(0) } })).toMatchObject({ answer, waiting: null });
});

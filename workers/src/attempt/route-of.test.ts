import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import type { FleetKnowledge } from '@waybill/shared/coordination/fleet-view.ts';
import type { Candidate } from '@waybill/shared/routing/candidates.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { describe, expect, test } from 'vitest';
import type { WorkerContext } from '../worker-context.ts';
import { candidatesOf, chainOf } from './route-of.ts';

const parsed = parseEnvironment({});
if (parsed.kind === 'faults') throw new Error('the empty environment is valid');
const priced = (usd: string) => ({
  ...{ preset: 'openai-compatible', base_url: 'http://127.0.0.1:1/v1' },
  models: { m: { input_usd_per_million: usd, output_usd_per_million: usd } },
});
const settingsWith = (more: object) =>
  settingsOf(
    {
      providers: { dear: priced('9'), cheap: priced('1'), middle: { ...priced('3'), labels: ['eu', 'local'] } },
      chains: { mine: { targets: ['dear/m'], mode: 'manual', max_attempts: 3, on_unavailable: 'cheapest' } },
      ...more,
    },
    parsed.environment,
    'the test',
  );
const settings = settingsWith({});

/** What is read of a row here. */
const job = {
  ...{ chain: 'mine', requested_model: 'mine', targets: ['dear/m', 'unknown/m', 'middle/m', 'cheap/m'] },
  ...{ require: [], exclude_providers: [], estimated_tokens: 1_000, estimated_output: 100, tenant_id: 'ten_default' },
} as unknown as JobRow;

describe('chainOf', () => {
  test('reads the policy as it is now, and keeps the targets of the row', () => {
    expect(chainOf(job, settings)).toMatchObject({ mode: 'manual', maxAttempts: 3, targets: job.targets });
    const later = settingsWith({ chains: { mine: { targets: ['cheap/m'], max_attempts: 7 } } });
    expect(chainOf(job, later)).toMatchObject({ mode: 'graceful', maxAttempts: 7, targets: job.targets });
  });

  test.for([
    ['a chain that vanished', { ...job, chain: 'gone' }],
    ['a target alone', { ...job, chain: null, requested_model: 'dear/m' }],
  ] as const)('takes the default policy for %s', ([, row]) => {
    expect(chainOf(row, settings)).toMatchObject({
      ...{ name: row.requested_model, mode: 'graceful', maxAttempts: 10, sameTargetRetries: 3 },
      targets: job.targets,
    });
  });
});

describe('candidatesOf', () => {
  const known: FleetKnowledge = {
    ...{ throughput: new Map(), pauses: new Map(), breakers: new Map(), usual: new Map() },
    ...{ switches: new Map(), windows: new Map() },
  };
  const nowMs = Date.UTC(2026, 5, 1);
  const contextWith = (change: Partial<FleetKnowledge> = {}, of = settings) =>
    ({
      settings: () => of,
      fleet: { read: () => Promise.resolve({ ...known, ...change }) },
      credentials: { of: () => [] },
      now: () => nowMs,
    }) as unknown as WorkerContext;
  const eligible = (target: string): Candidate => ({ target, kind: 'eligible' });
  const unknown = expect.objectContaining({ target: 'unknown/m', kind: 'skipped', reason: 'not_configured' });

  test('are in the order of the row', async () => {
    const chain = { ...chainOf(job, settings), onUnavailable: 'next' } as const;
    expect(await candidatesOf(job, chain, contextWith())).toEqual([
      ...[eligible('dear/m'), unknown, eligible('middle/m'), eligible('cheap/m')],
    ]);
  });

  test('are in the order of their cost where the chain says so, the unknown one last', async () => {
    expect(await candidatesOf(job, chainOf(job, settings), contextWith())).toEqual([
      ...[eligible('cheap/m'), eligible('middle/m'), eligible('dear/m'), unknown],
    ]);
  });

  test('know what the fleet knows', async () => {
    const untilMs = nowMs + 60_000;
    const outage = { cooldownMs: 60_000, why: 'manual', sinceMs: nowMs } as const;
    const breakers = new Map([['dear/m', { kind: 'open', untilMs, ...outage } as const]]);
    const pauses = new Map([['model:middle/m', { kind: 'rate_limit', untilMs }]]);
    const found = await candidatesOf(
      { ...job, targets: ['dear/m', 'middle/m', 'cheap/m'] },
      { ...chainOf(job, settings), onUnavailable: 'next' },
      contextWith({ breakers, pauses, switches: new Map([['cheap', false]]) }),
    );
    expect(found).toMatchObject([
      { target: 'dear/m', reason: 'breaker', untilMs },
      { target: 'middle/m', reason: 'limited', untilMs },
      { target: 'cheap/m', reason: 'disabled', untilMs: null },
    ]);
  });

  test('are those that the job may go to', async () => {
    const row = { ...job, targets: ['dear/m', 'middle/m', 'cheap/m'], exclude_providers: ['cheap'] };
    const off = settingsWith({ privacy: { cloud: 'off' } });
    expect(await candidatesOf({ ...row, require: ['eu'] }, chainOf(row, off), contextWith({}, off))).toEqual([
      expect.objectContaining({ target: 'cheap/m', reason: 'label' }),
      eligible('middle/m'),
      expect.objectContaining({ target: 'dear/m', reason: 'label' }),
    ]);
    expect(await candidatesOf(row, chainOf(row, settings), contextWith())).toContainEqual(
      expect.objectContaining({ target: 'cheap/m', reason: 'excluded' }),
    );
  });
});

/**
 * Two tenants: one with a great backlog, one that submits a little now and then. How long the small one waits, against
 * the same jobs in an empty system; and how the work is shared while both have some.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { windowSize } from '@waybill/shared/routing/window.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { type Database, openDatabase } from '@waybill/shared/store/database.ts';
import { openServerStore } from '@waybill/shared/store/server.ts';
import { addApiKey, ensureTenant } from '@waybill/shared/store/tenants.ts';
import { Agent } from 'undici';
import { type Fleet, masterKey, startFleet, submit } from './fleet.ts';
import { type Figures, figuresOf } from './statistics.ts';

const concurrency = 32;
const latencyMs = 100;
const bulk = 1_000;

interface Tenant {
  readonly id: string;
  readonly key: string;
}

export async function benchFairness(greatJobs: number, smallJobs: number): Promise<string[]> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'waybill-bench-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const fleet = await startFleet({ folder, concurrency, provider: { latencyMs } }, stack);
  const database = openDatabase(openServerStore({ url: fleet.databaseUrl, maxConnections: 2 }));
  stack.defer(() => database.close());
  const agent = new Agent({ connections: 8 });
  stack.defer(() => agent.close());
  const [great, small] = [await addTenant(database, 'ten_great'), await addTenant(database, 'ten_small')];
  const empty = await waitsOf(database, await submitMany(fleet, small, smallJobs, agent), smallJobs);
  await submitMany(fleet, great, greatJobs, agent);
  const loaded = await waitsOf(database, await submitMany(fleet, small, smallJobs, agent), smallJobs);
  const rate = concurrency / (latencyMs / 1_000);
  const windowMs = (windowSize(rate, concurrency) / rate) * 1_000;
  const bound = 2 * empty.p95 + windowMs;
  // Enough of the small tenant's for both to wait while two thousand are dispatched.
  const batches = await submitMany(fleet, small, 2_000, agent);
  const worst = await worstShare(database, great, small, batches);
  return [
    `${smallJobs} jobs of the small tenant, ${greatJobs.toLocaleString('en')} of the great one waiting; ${concurrency} calls at once of ${latencyMs} ms`,
    `wait until the call, empty system    median ${empty.median.toFixed(0)} ms  p95 ${empty.p95.toFixed(0)} ms`,
    `wait beside the backlog              median ${loaded.median.toFixed(0)} ms  p95 ${loaded.p95.toFixed(0)} ms; twice the empty one and a window: ${bound.toFixed(0)} ms`,
    `shares of the tenants over any 1,000 dispatches while both wait: at most ${(100 * worst).toFixed(1)} % off equal`,
  ];
}

async function addTenant(database: Database, id: string): Promise<Tenant> {
  await ensureTenant(database, createSealer(masterKey), id, id);
  const { text } = await addApiKey(database, { tenantId: id, name: 'bench', scopes: ['jobs:write', 'jobs:read'] });
  return { id, key: text };
}

/** @returns the batch ids */
async function submitMany(fleet: Fleet, { key }: Tenant, jobs: number, agent: Agent): Promise<string[]> {
  const ids: string[] = [];
  for (let left = jobs; left > 0; left -= bulk) {
    const some = Array.from({ length: Math.min(bulk, left) }, () => ({ model: 'default', prompt: 'Say ok.' }));
    const answer = await submit('/v1/jobs/bulk', fleet, key, JSON.stringify({ jobs: some }), agent);
    ids.push((JSON.parse(answer) as { batch_id: string }).batch_id);
  }
  return ids;
}

/** How long the jobs of the batches waited for their first call, in ms; once all have been called. */
async function waitsOf(database: Database, batches: readonly string[], jobs: number): Promise<Figures> {
  for (;;) {
    const { rows } = await database.pool.query(
      `select (extract(epoch from started_at - created_at) * 1000)::float8 as ms from waybill.jobs where batch_id = any($1) and started_at is not null`,
      [batches],
    );
    if (rows.length === jobs) return figuresOf(rows.map((row) => row.ms as number));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The greatest distance from one half that a tenant's part of 1,000 dispatches in a row had, while both waited. */
async function worstShare(
  database: Database,
  great: Tenant,
  small: Tenant,
  batches: readonly string[],
): Promise<number> {
  const waiting = async (): Promise<number> => {
    const { rows } = await database.pool.query(
      `select count(*)::int as n from waybill.jobs where tenant_id = $1 and status = 'queued' and dispatched_at is null`,
      [small.id],
    );
    return rows[0]?.n as number;
  };
  while ((await waiting()) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  // From its first call on: what was in the window before it came is not shared.
  const { rows } = await database.pool.query(
    `with span as (select min(started_at) as first, max(started_at) as last from waybill.jobs where batch_id = any($2) and started_at is not null)
     select tenant_id from waybill.jobs, span where tenant_id = any($1) and started_at between first and last order by started_at`,
    [[great.id, small.id], batches],
  );
  const isSmall: number[] = rows.map((row) => (row.tenant_id === small.id ? 1 : 0));
  let sum = 0;
  let worst = 0;
  for (const [index, one] of isSmall.entries()) {
    sum += one - (isSmall[index - 1_000] ?? 0);
    if (index >= 999) worst = Math.max(worst, Math.abs(sum / 1_000 - 0.5));
  }
  return worst;
}

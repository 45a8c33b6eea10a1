/** Redis's memory after a great batch in which every job falls back once: bounded by the windows and by retention. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '@waybill/shared/store/database.ts';
import { openServerStore } from '@waybill/shared/store/server.ts';
import { Redis } from 'ioredis';
import { Agent } from 'undici';
import { adminKey, startFleet, submit } from './fleet.ts';

const concurrency = 50;
const bulk = 1_000;

export async function benchBatch(jobs: number): Promise<string[]> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'waybill-bench-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const fleet = await startFleet({ folder, concurrency, provider: { failFirst: true } }, stack);
  const agent = new Agent({ connections: 4 });
  stack.defer(() => agent.close());
  const redis = new Redis(fleet.redisUrl);
  stack.defer(() => redis.disconnect());
  const usedMb = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]) / 1_048_576;
  const database = openDatabase(openServerStore({ url: fleet.databaseUrl, maxConnections: 2 }));
  stack.defer(() => database.close());
  const before = await usedMb();
  const startedAt = performance.now();
  for (let left = jobs; left > 0; left -= bulk) {
    const some = Array.from({ length: Math.min(bulk, left) }, () => ({ model: 'default', prompt: 'Say ok.' }));
    await submit('/v1/jobs/bulk', fleet, adminKey, JSON.stringify({ jobs: some }), agent);
  }
  let peak = 0;
  for (let open = jobs; open > 0; ) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    peak = Math.max(peak, await usedMb());
    const { rows } = await database.pool.query(
      `select count(*)::int as n from waybill.jobs where status in ('queued', 'in_progress')`,
    );
    open = rows[0]?.n as number;
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  const { rows } = await database.pool.query(
    `select (select count(*) from waybill.attempts) as attempts, (select count(*) from waybill.jobs where status = 'succeeded') as succeeded`,
  );
  return [
    `${jobs.toLocaleString('en')} jobs, ${rows[0]?.attempts} attempts, ${rows[0]?.succeeded} succeeded, in ${seconds.toFixed(0)} s`,
    `Redis above empty: at most ${(peak - before).toFixed(1)} MB, ${((await usedMb()) - before).toFixed(1)} MB after it`,
  ];
}

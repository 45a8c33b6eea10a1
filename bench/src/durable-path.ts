/**
 * What durability costs: raw BullMQ on Redis (add and process an empty job) against the whole path of a job (POST,
 * PostgreSQL, queue, call to a provider on loopback, settle, webhook delivered). CPU of every process per job; the load
 * generator, the provider and the receiver are not counted.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent } from 'undici';
import { adminKey, type Fleet, startFleet, submit } from './fleet.ts';
import { cpuOfTree } from './process-cpu.ts';
import { topFunctions } from './profile.ts';
import { figuresOf } from './statistics.ts';

const concurrency = 50;
const counted = ['api', 'worker', 'postgres', 'redis'] as const;
type Counted = (typeof counted)[number];

export async function benchDurablePath(rounds: number, jobs: number): Promise<string[]> {
  await using stack = new AsyncDisposableStack();
  const folder = temporaryFolder(stack);
  const fleet = await startFleet({ folder, concurrency }, stack);
  const raw = await startRaw(fleet.redisUrl, stack);
  const agent = new Agent({ connections: concurrency });
  stack.defer(() => agent.close());
  await rawRound(raw, jobs);
  await durableRound(fleet, agent, jobs);
  const rawCosts: number[] = [];
  const costs: Record<Counted, number>[] = [];
  for (let round = 0; round < rounds; round++) {
    const rawCpu = () => cpuOfTree(raw.pid ?? 0) + cpuOfTree(fleet.pids.redis);
    const before = rawCpu();
    await rawRound(raw, jobs);
    rawCosts.push((rawCpu() - before) / jobs);
    const start = cpuOf(fleet);
    await durableRound(fleet, agent, jobs);
    const end = cpuOf(fleet);
    costs.push(perPart((name) => (end[name] - start[name]) / jobs));
  }
  const rawMs = figuresOf(rawCosts).median;
  const wholeMs = figuresOf(costs.map((round) => counted.reduce((sum, name) => sum + round[name], 0))).median;
  return [
    `CPU per job, medians of ${rounds} rounds of ${jobs} jobs, ${concurrency} at a time; all processes counted but load, provider and receiver`,
    `raw BullMQ on Redis, empty job      ${rawMs.toFixed(3)} ms`,
    `the whole durable path              ${wholeMs.toFixed(3)} ms   ratio ${(wholeMs / rawMs).toFixed(1)}`,
    ...counted.map(
      (name) => `  ${name.padEnd(34)}${figuresOf(costs.map((round) => round[name])).median.toFixed(3)} ms`,
    ),
    ...(await profiled(jobs)),
  ];
}

const perPart = (read: (name: Counted) => number): Record<Counted, number> => ({
  api: read('api'),
  worker: read('worker'),
  postgres: read('postgres'),
  redis: read('redis'),
});

const cpuOf = ({ pids }: Fleet): Record<Counted, number> => perPart((name) => cpuOfTree(pids[name]));

/** One more run, under the profiler and not counted: where the time of API and worker goes. */
async function profiled(jobs: number): Promise<string[]> {
  await using stack = new AsyncDisposableStack();
  const folder = temporaryFolder(stack);
  const nodeFlags = ['--cpu-prof', `--cpu-prof-dir=${folder}`];
  const fleet = await startFleet({ folder, concurrency, nodeFlags }, stack);
  const agent = new Agent({ connections: concurrency });
  stack.defer(() => agent.close());
  for (let round = 0; round < 3; round++) await durableRound(fleet, agent, jobs);
  await fleet.stopWaybill();
  return ['where API and worker spend it, own time:', ...topFunctions(folder, 10).map((line) => `  ${line}`)];
}

function temporaryFolder(stack: AsyncDisposableStack): string {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-bench-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function startRaw(redisUrl: string, stack: AsyncDisposableStack): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./raw-bullmq.ts', import.meta.url));
  const raw = fork(script, [redisUrl, String(concurrency)]);
  stack.defer(() => void raw.kill());
  await once(raw, 'message');
  return raw;
}

async function rawRound(raw: ChildProcess, jobs: number): Promise<void> {
  const finished = once(raw, 'message');
  raw.send(jobs);
  await finished;
}

/** Submits one by one, as requests come in, and waits for the last webhook. */
async function durableRound(fleet: Fleet, agent: Agent, jobs: number): Promise<void> {
  const before = await fleet.delivered();
  const body = JSON.stringify({ model: 'default', prompt: 'Say ok.', webhook_url: fleet.hookUrl });
  let next = 0;
  const submitting = async () => {
    while (next++ < jobs) await submit('/v1/jobs', fleet, adminKey, body, agent);
  };
  await Promise.all(Array.from({ length: concurrency }, submitting));
  while ((await fleet.delivered()) - before < jobs) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** The demo: a whole Waybill on a fresh folder, three simulated providers with faults, and a file of real prompts. */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, createClient } from '@waybill/producer/client/client.ts';
import type { JobJson } from '@waybill/producer/job-json.ts';
import type { Environment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import { formatUsd } from '@waybill/shared/domain/money.ts';
import { batchAttempts, batchCounts } from '@waybill/shared/store/batch-stats.ts';
import { defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { toJobs } from '../job-lines.ts';
import { readLines } from '../lines.ts';
import { bar, type Progress } from '../progress.ts';
import { startServer, type WaybillServer } from '../server.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { type SimulatedProviders, startSimulatedProviders } from './simulated-providers.ts';

const prompts = fileURLToPath(new URL('../../demo/prompts.jsonl', import.meta.url));
const limitMs = 120_000;
const webhookLimitMs = 20_000;
const pollMs = 250;
const pageSize = 100;

export interface DemoResult {
  readonly jobs: readonly JobJson[];
  readonly webhooksVerified: number;
  readonly webhooksRejected: number;
}

export interface Demo {
  readonly server: WaybillServer;
  readonly directory: string;
  /** Submits the prompts, and resolves when every job is final and told of, or the time is over. */
  run(progress: Progress): Promise<DemoResult>;
  stop(): Promise<void>;
}

export async function startDemo(environment: Environment): Promise<Demo> {
  const stack = new AsyncDisposableStack();
  try {
    const directory = await mkdtemp(join(tmpdir(), 'waybill-demo-'));
    stack.defer(() => rm(directory, { recursive: true, force: true }));
    const providers = await startSimulatedProviders();
    stack.defer(() => providers.stop());
    const server = await startServer({
      role: 'up',
      settings: settingsOf(demoConfig(providers), environment, 'the demo'),
      environment,
      directory,
      host: '127.0.0.1',
      port: environment.WAYBILL_PORT ?? 0,
      logger: createLogger({ level: environment.LOG_LEVEL ?? 'silent' }),
    });
    stack.defer(() => server.stop(2_000));
    const client = createClient({ url: server.url, apiKey: server.adminKey });
    const receiver = await startReceiver(() => client.webhookSecret());
    stack.defer(() => receiver.stop());
    return {
      server,
      directory,
      run: (progress) => run(server, client, receiver, progress),
      stop: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Short timeouts, so that a hanging provider is left within the demo's minute. */
const demoConfig = ({ urls }: SimulatedProviders) => ({
  providers: {
    openai: {
      base_url: `${urls.openai}/v1`,
      api_key: 'simulated',
      limits: { concurrency: 16 },
      timeouts: { first_byte: '1500ms', total: '10s' },
    },
    anthropic: {
      base_url: `${urls.anthropic}/v1`,
      api_key: 'simulated',
      limits: { concurrency: 12 },
      timeouts: { first_byte: '1500ms', total: '10s' },
    },
    ollama: { base_url: urls.ollama, limits: { concurrency: 4 } },
  },
  chains: {
    default: {
      targets: ['openai/gpt-4.1-mini', 'anthropic/claude-haiku-4-5', 'ollama/llama3.2'],
      backoff: { initial: '200ms', max: '5s' },
      on_limit: { normal: '3s' },
    },
  },
});

async function run(server: WaybillServer, client: Client, receiver: Receiver, progress: Progress): Promise<DemoResult> {
  const jobs: Record<string, unknown>[] = [];
  for await (const line of toJobs(readLines(createReadStream(prompts)), {
    model: 'default',
    defaults: { webhook_url: receiver.url },
    format: 'jsonl',
  }))
    jobs.push(line.job);
  const { batch_id: batchId } = await client.submitMany(jobs);
  const endsAt = performance.now() + limitMs;
  for (let isDone = false; !isDone && performance.now() < endsAt; ) {
    isDone = await showProgress(server, receiver, batchId, jobs.length, progress);
    if (!isDone) await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  await receiver.untilVerified(jobs.length, webhookLimitMs);
  await showProgress(server, receiver, batchId, jobs.length, progress);
  progress.end();
  return {
    jobs: await readAll(client, batchId),
    webhooksVerified: receiver.verified(),
    webhooksRejected: receiver.rejected(),
  };
}

async function showProgress(
  { database }: WaybillServer,
  receiver: Receiver,
  batchId: string,
  total: number,
  progress: Progress,
): Promise<boolean> {
  const counts = await batchCounts(database.kysely, defaultTenantId, batchId);
  const providers = await batchAttempts(database.kysely, [batchId]);
  const done = total - (counts.queued ?? 0) - (counts.in_progress ?? 0);
  const cost = providers.reduce((sum, provider) => sum + provider.costNano, 0n);
  progress.show([
    `${bar(done, total)}   running ${counts.in_progress ?? 0}   waiting ${counts.queued ?? 0}   $${formatUsd(cost)}   webhooks ${receiver.verified()}`,
    ...providers.map(
      (each) =>
        `  ${each.provider.padEnd(10)} ${String(each.attempts).padStart(4)} attempts   ${String(each.succeeded).padStart(4)} ok   ${String(each.failed).padStart(3)} failed   ${String(each.fallbacks).padStart(3)} fallbacks   $${formatUsd(each.costNano)}`,
    ),
  ]);
  return done === total;
}

async function readAll(client: Client, batchId: string): Promise<JobJson[]> {
  const jobs: JobJson[] = [];
  let cursor: string | null = null;
  do {
    const page = await client.list({
      batch_id: batchId,
      limit: String(pageSize),
      ...(cursor === null ? {} : { cursor }),
    });
    jobs.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return jobs;
}

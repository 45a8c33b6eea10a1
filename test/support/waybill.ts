/** A whole Waybill in this process, on a database in a temporary folder, with the settings a test asks for. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer, type WaybillServer } from '@waybill/cli/server.ts';
import { type Client, createClient } from '@waybill/producer/client/client.ts';
import type { JobJson } from '@waybill/producer/job-json.ts';
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { withLenientBreaker } from './lenient-breaker.ts';

export interface TestWaybill {
  readonly url: string;
  readonly adminKey: string;
  readonly client: Client;
  readonly server: WaybillServer;
  readonly directory: string;
  readonly settings: Settings;
  /** Every line the log wrote. */
  readonly log: string[];
  stop(): Promise<void>;
}

export interface TestWaybillOptions {
  /** As the configuration file would hold it. */
  readonly config: unknown;
  readonly environment?: NodeJS.ProcessEnv;
  /** An existing folder is kept at the end; without one, a temporary folder is made and removed. */
  readonly directory?: string;
  readonly host?: string;
}

export async function startWaybill(options: TestWaybillOptions): Promise<TestWaybill> {
  const parsed = parseEnvironment({ HOME: process.env.HOME, ...options.environment });
  if (parsed.kind === 'faults') throw new Error(JSON.stringify(parsed.faults));
  const settings = settingsOf(withLenientBreaker(options.config), parsed.environment, 'the test');
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'waybill-test-')));
  const log: string[] = [];
  const logger = createLogger({ level: 'debug', destination: { write: (line) => void log.push(line) } });
  const server = await startServer({
    role: 'up',
    settings,
    environment: parsed.environment,
    directory,
    host: options.host ?? '127.0.0.1',
    port: 0,
    logger,
  });
  return {
    url: server.url,
    adminKey: server.adminKey,
    client: createClient({ url: server.url, apiKey: server.adminKey }),
    server,
    directory,
    settings,
    log,
    async stop() {
      await server.stop(2_000);
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Waits for a condition, and fails with what was seen last. Never a fixed sleep. */
export async function eventually<T>(
  read: () => Promise<T> | T,
  isMet: (value: T) => boolean,
  limitMs = 30_000,
): Promise<T> {
  const endsAt = performance.now() + limitMs;
  for (;;) {
    const value = await read();
    if (isMet(value)) return value;
    if (performance.now() > endsAt)
      throw new Error(`Waited ${limitMs} ms in vain; last seen: ${JSON.stringify(value)?.slice(0, 2_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The final job. */
export const whenFinal = (client: Client, id: string, limitMs = 30_000): Promise<JobJson> =>
  eventually(
    () => client.get(id, { wait: '5s' }),
    (job) => ['succeeded', 'failed', 'cancelled', 'expired'].includes(job.status),
    limitMs,
  );

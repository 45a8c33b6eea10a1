/**
 * Everything in one process: the embedded default. Opens in order, closes in reverse.
 *
 * Stopping: no new requests, drain the workers, close the queues, then telemetry, then the database.
 */
import { basicAuth, bullBoardPath, bullBoardRouter } from '@waybill/dashboards/bull-board.ts';
import { type Api, startApi } from '@waybill/producer/main.ts';
import { adminJobsRouter } from '@waybill/producer/routes/admin-jobs.ts';
import type { Environment } from '@waybill/shared/config/environment.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import { createPostgresCoordination } from '@waybill/shared/coordination/postgres/postgres-coordination.ts';
import { createPostgresQueueBackend } from '@waybill/shared/queue/postgres-queue.ts';
import { webhookQueueName } from '@waybill/shared/queue/queue.ts';
import type { ReceiverPolicy } from '@waybill/shared/security/receiver-address.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { defaultTenantId, ensureTenant } from '@waybill/shared/store/tenants.ts';
import { takeOverAlone } from '@waybill/shared/store/workers.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { startTelemetry } from '@waybill/shared/telemetry/start-telemetry.ts';
import { startWorkers, type Workers } from '@waybill/workers/main.ts';
import { makeDataDirectory, readAdminKey, readMasterKey } from './data-directory.ts';
import { version } from './version.ts';

export interface EmbeddedServerOptions {
  readonly settings: Settings;
  readonly environment: Environment;
  readonly directory: string;
  readonly host: string;
  readonly port: number;
  readonly logger: Logger;
}

export interface EmbeddedServer {
  readonly url: string;
  readonly adminKey: string;
  readonly dashboardUrl: string;
  readonly database: Database;
  /** @param graceMs how long requests and calls may go on before they are cut */
  stop(graceMs: number): Promise<void>;
}

export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const { settings, environment, directory, host, port, logger } = options;
  const stack = new AsyncDisposableStack();
  try {
    makeDataDirectory(directory);
    const database = await openEmbeddedDatabase({ directory, cacheDirectory: preparedCacheDirectory(environment.raw) });
    stack.defer(() => database.close());
    // Under the directory's lock: two first starts at once must not make two keys.
    const masterKey = environment.WAYBILL_MASTER_KEY ?? readMasterKey(directory);
    const adminKey = environment.WAYBILL_ADMIN_KEY ?? readAdminKey(directory);
    const telemetry = await startTelemetry(environment.raw, version);
    stack.defer(() => telemetry.shutdown());
    const sealer = createSealer(masterKey);
    await ensureTenant(database, sealer, defaultTenantId, 'default');
    const coordination = createPostgresCoordination(database);
    await takeOverAlone(database);
    await coordination.reset();
    const queues = createPostgresQueueBackend(database, (error, queue) =>
      logger.error({ err: error, queue }, 'a queue reported an error'),
    );
    stack.defer(() => queues.close());
    // Opened here, outside of any request, so that Bull Board shows every queue from the start.
    for (const name of [...Object.keys(settings.providers), webhookQueueName]) queues.queue(name);
    const shared = {
      database,
      queues,
      coordination,
      settings: () => settings,
      sealer,
      receivers: receiverPolicy(host, settings),
      logger,
      version,
    };
    let graceMs = 0;
    // The port first: a process that cannot listen must not have made a call. The workers stop after the API.
    let workers: Workers | null = null;
    stack.defer(async () => workers?.stop(graceMs));
    const api: Api = await startApi({
      ...shared,
      host,
      port,
      masterKey,
      adminKey,
      mounts: (authenticator) => mounts(shared, authenticator.callerOf),
    });
    stack.defer(() => api.stop(graceMs));
    workers = await startWorkers(shared);
    return {
      url: api.url,
      adminKey,
      dashboardUrl: `${api.url}${bullBoardPath}`,
      database,
      async stop(ms) {
        graceMs = ms;
        await stack.disposeAsync();
      },
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

function mounts(
  { database, queues }: Pick<Parameters<typeof bullBoardRouter>[0], 'database' | 'queues'>,
  callerOf: Parameters<typeof basicAuth>[0],
) {
  return [
    { path: bullBoardPath, router: bullBoardRouter({ queues, database, callerOf }) },
    { path: '/admin/jobs', router: adminJobsRouter(database, basicAuth(callerOf)) },
  ];
}

/** Whoever can submit to a server on loopback can reach local addresses already. */
function receiverPolicy(host: string, settings: Settings): ReceiverPolicy {
  const isLoopback = host === 'localhost' || host === '::1' || host.startsWith('127.');
  return { allowPrivate: isLoopback, allowNetworks: settings.webhooks.allowNetworks };
}

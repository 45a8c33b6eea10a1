/**
 * A process of Waybill: the API, the workers, the dashboards, or all of them in one. Opens in order, closes in reverse.
 *
 * Stopping: no new requests, drain the workers, close the queues, then telemetry, then the database.
 */
import { createServer } from 'node:http';
import { basicAuth, bullBoardPath, bullBoardRouter } from '@waybill/dashboards/bull-board.ts';
import { createDashboards } from '@waybill/dashboards/main.ts';
import { createAuthenticator } from '@waybill/producer/authentication.ts';
import { startApi } from '@waybill/producer/main.ts';
import { adminJobsRouter } from '@waybill/producer/routes/admin-jobs.ts';
import type { Environment } from '@waybill/shared/config/environment.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { listen } from '@waybill/shared/http/listen.ts';
import { webhookQueueName } from '@waybill/shared/queue/queue.ts';
import type { ReceiverPolicy } from '@waybill/shared/security/receiver-address.ts';
import { createSealer, type Sealer } from '@waybill/shared/security/seal.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { checkMasterKey } from '@waybill/shared/store/server-facts.ts';
import { defaultTenantId, ensureConfiguredTenants, ensureTenant } from '@waybill/shared/store/tenants.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { startTelemetry } from '@waybill/shared/telemetry/start-telemetry.ts';
import { startHealthServer } from '@waybill/workers/liveness/health-server.ts';
import { startWorkers, type Workers } from '@waybill/workers/main.ts';
import { readAdminKey, readMasterKey } from './data-directory.ts';
import { openStores, type Stores } from './open-stores.ts';
import { version } from './version.ts';

/** `up` is all three in one process. */
export type Role = 'up' | 'api' | 'worker' | 'dashboards';

export interface ServerOptions {
  readonly role: Role;
  readonly settings: Settings;
  readonly environment: Environment;
  readonly directory: string;
  readonly host: string;
  /** 0 takes any free port; null: none, which only a worker can do. */
  readonly port: number | null;
  readonly logger: Logger;
  /** The providers whose queues a worker serves; null: all. */
  readonly providers?: readonly string[] | null;
  /** A worker that makes no progress wants to be replaced. */
  readonly onStuck?: (queues: readonly string[]) => void;
}

export interface WaybillServer {
  /** Empty for a worker without a port. */
  readonly url: string;
  readonly adminKey: string;
  readonly dashboardUrl: string | null;
  readonly database: Database;
  /** @param graceMs how long requests and calls may go on before they are cut */
  stop(graceMs: number): Promise<void>;
}

/** What all parts of a process share. */
interface Shared extends Stores {
  readonly settings: () => Settings;
  readonly sealer: Sealer;
  readonly receivers: ReceiverPolicy;
  readonly logger: Logger;
  readonly version: string;
  readonly masterKey: Uint8Array;
  readonly adminKey: string;
}

export async function startServer(options: ServerOptions): Promise<WaybillServer> {
  const { settings, environment, logger, role } = options;
  if (role !== 'up' && environment.DATABASE_URL === undefined)
    throw new Problem(
      'invalid_config',
      `Cannot run "waybill ${role}": the embedded database serves one process only. Set DATABASE_URL, or run "waybill up"`,
      { param: 'DATABASE_URL' },
    );
  const stack = new AsyncDisposableStack();
  try {
    const stores = await openStores(options);
    stack.defer(() => stores.close());
    const keys = await keysOf(stores, options);
    const telemetry = await startTelemetry(environment.raw, version);
    stack.defer(() => telemetry.shutdown());
    const sealer = createSealer(keys.masterKey);
    await ensureTenant(stores.database, sealer, defaultTenantId, 'default');
    if (role === 'up' || role === 'api') await ensureConfiguredTenants(stores.database, sealer, settings.tenants);
    // Opened here, outside of any request, so that Bull Board shows every queue from the start.
    for (const name of [...Object.keys(settings.providers), webhookQueueName]) stores.queues.queue(name);
    const shared: Shared = {
      ...stores,
      ...keys,
      settings: () => settings,
      sealer,
      receivers: receiverPolicy(options),
      logger,
      version,
    };
    let graceMs = 0;
    const url = await startParts(shared, options, stack, () => graceMs);
    return {
      url,
      adminKey: keys.adminKey,
      dashboardUrl: role === 'up' || role === 'dashboards' ? `${url}${bullBoardPath}` : null,
      database: stores.database,
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

async function startParts(
  shared: Shared,
  options: ServerOptions,
  stack: AsyncDisposableStack,
  graceMs: () => number,
): Promise<string> {
  const { role, host, port } = options;
  let workers: Workers | null = null;
  const startOwnWorkers = () =>
    startWorkers({
      ...shared,
      providers: options.providers ?? null,
      onStuck: options.onStuck ?? (() => undefined),
    });
  if (role === 'dashboards') return startDashboards(shared, host, port ?? 0, stack, graceMs);
  if (role === 'worker') {
    const health = {
      stuck: () => workers?.stuck() ?? [],
      isReady: async () => workers !== null && (await workers.isReady()),
    };
    const listening = port === null ? null : await startHealthServer(host, port, version, health);
    // It says that the process is not ready while the workers drain, and ends after them.
    if (listening) stack.defer(() => listening.stop(0));
    workers = await startOwnWorkers();
    stack.defer(() => workers?.stop(graceMs()));
    return listening?.url ?? '';
  }
  // The port first: a process that cannot listen must not have made a call.
  const api = await startApi({
    ...shared,
    host,
    port: port ?? 0,
    mounts: (authenticator) => (role === 'up' ? mounts(shared, authenticator.callerOf) : []),
  });
  let isApiStopped = false;
  const stopApi = async () => {
    if (isApiStopped) return;
    isApiStopped = true;
    await api.stop(graceMs());
  };
  stack.defer(stopApi);
  if (role === 'up') {
    workers = await startOwnWorkers();
    // Together: a client that waits for a job's end must not keep the pools from draining.
    stack.defer(async () => void (await Promise.all([stopApi(), workers?.stop(graceMs())])));
  }
  return api.url;
}

async function startDashboards(
  shared: Shared,
  host: string,
  port: number,
  stack: AsyncDisposableStack,
  graceMs: () => number,
): Promise<string> {
  const { callerOf } = createAuthenticator(shared.database, shared.adminKey);
  const app = createDashboards({ ...shared, mounts: mounts(shared, callerOf) });
  const listening = await listen(createServer(app), host, port);
  stack.defer(() => listening.stop(graceMs()));
  return listening.url;
}

function mounts({ database, queues }: Pick<Shared, 'database' | 'queues'>, callerOf: Parameters<typeof basicAuth>[0]) {
  return [
    { path: bullBoardPath, router: bullBoardRouter({ queues, database, callerOf }) },
    { path: '/admin/jobs', router: adminJobsRouter(database, basicAuth(callerOf)) },
  ];
}

/** Processes that share a database share its keys; alone, the data directory keeps them. */
async function keysOf(
  { database, isEmbedded }: Stores,
  { environment, directory, role }: ServerOptions,
): Promise<{ masterKey: Uint8Array; adminKey: string }> {
  const { WAYBILL_MASTER_KEY: masterKey, WAYBILL_ADMIN_KEY: adminKey } = environment;
  // Read under the directory's lock: two first starts at once must not make two keys.
  if (isEmbedded)
    return { masterKey: masterKey ?? readMasterKey(directory), adminKey: adminKey ?? readAdminKey(directory) };
  if (masterKey === undefined)
    throw missing(
      'WAYBILL_MASTER_KEY',
      'every process of one database needs the same one. Make it once with "openssl rand -base64 32"',
    );
  if (adminKey === undefined && role !== 'worker')
    throw missing(
      'WAYBILL_ADMIN_KEY',
      'it is the first API key, with which others are made. Make it once with "openssl rand -hex 24"',
    );
  await checkMasterKey(database, masterKey);
  return { masterKey, adminKey: adminKey ?? '' };
}

const missing = (name: string, why: string): Problem =>
  new Problem('invalid_config', `Cannot start with DATABASE_URL alone: ${name} is not set; ${why}`, { param: name });

/**
 * Whoever can submit to a server on loopback can reach local addresses already. A worker takes nothing in, so its
 * address says nothing unless it was set on purpose.
 */
function receiverPolicy({ role, host, settings, environment }: ServerOptions): ReceiverPolicy {
  const isLoopback = host === 'localhost' || host === '::1' || host.startsWith('127.');
  const isKnown = role !== 'worker' || environment.WAYBILL_HOST !== undefined;
  return { allowPrivate: isLoopback && isKnown, allowNetworks: settings.webhooks.allowNetworks };
}

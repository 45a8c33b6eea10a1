/** Starts a process of Waybill from its environment, says that it is ready, and ends it in good order. */
import type { loadConfig } from '@waybill/shared/config/load.ts';
import { asConfigProblem } from './config-problem.ts';
import { defaultDataDirectory } from './data-directory.ts';
import { exitCode } from './exit-codes.ts';
import { print, printJson, say } from './output.ts';
import type { Role, WaybillServer } from './server.ts';
import { exitCodeOfSignal, untilStopped } from './until-stopped.ts';

/** How long a start may still take after a signal: what it opened is closed when it ends. A start can hang for ever. */
const startGraceMs = 10_000;

export type Loaded = Awaited<ReturnType<typeof loadConfig>>;

export interface RunOptions {
  readonly role: Role;
  readonly isJson: boolean;
  /** How long running calls may go on after the first signal. */
  readonly drainMs: number;
  /** Where to listen when WAYBILL_PORT does not say; null: nowhere. */
  readonly defaultPort: number | null;
  readonly providersOf?: (loaded: Loaded) => readonly string[] | null;
  /** The first lines, on a terminal. */
  readonly welcome: (server: WaybillServer, loaded: Loaded, directory: string) => string;
  readonly json: (server: WaybillServer, loaded: Loaded, directory: string) => object;
}

export async function runServer(options: RunOptions): Promise<void> {
  const { role, isJson, drainMs } = options;
  // Loaded when they are asked for: providers, a log and a database have no part in `waybill jobs get`.
  const [{ loadConfig }, { probeLocalServers }, { createLogger }] = await Promise.all([
    import('@waybill/shared/config/load.ts'),
    import('@waybill/shared/config/probe.ts'),
    import('@waybill/shared/telemetry/logger.ts'),
  ]);
  const loaded = await loadConfig(process.env, probeLocalServers).catch(asConfigProblem);
  const { settings, environment } = loaded;
  const directory = environment.WAYBILL_DATA_DIR ?? defaultDataDirectory;
  const logger = createLogger({ level: environment.LOG_LEVEL ?? 'info' });
  const stopped = untilStopped();
  const stuck = Promise.withResolvers<'stuck'>();
  const { startServer } = await import('./server.ts');
  const starting = startServer({
    role,
    settings,
    environment,
    directory,
    host: environment.WAYBILL_HOST ?? '127.0.0.1',
    port: environment.WAYBILL_PORT ?? options.defaultPort,
    logger,
    providers: options.providersOf?.(loaded) ?? null,
    onStuck: () => stuck.resolve('stuck'),
  });
  const early = await Promise.race([starting.then(() => null), stopped]);
  if (early !== null) return stopEarly(early, starting, drainMs);
  const server = await starting;
  if (isJson) printJson(options.json(server, loaded, directory));
  else print(options.welcome(server, loaded, directory));
  const why = await Promise.race([stopped, stuck.promise]);
  if (why === 'stuck') {
    logger.fatal('no entry is picked up though some wait: ending, so that another process takes over');
    process.exitCode = exitCode.failed;
  } else if (!isJson)
    print(`\n${why}: finishing running calls for up to ${drainMs / 1_000} s; a second one stops at once.`);
  await server.stop(drainMs);
}

/** A signal came before the process was ready: it never says that it is. */
async function stopEarly(signal: NodeJS.Signals, starting: Promise<WaybillServer>, drainMs: number): Promise<void> {
  const limit = `${startGraceMs / 1_000} s`;
  say(`${signal} during the start: waiting up to ${limit} for its end, then stopping; a second one stops at once.`);
  const giveUp = setTimeout(() => {
    say(`Ending: the start did not end within ${limit} of ${signal}.`);
    process.exit(exitCodeOfSignal(signal));
  }, startGraceMs);
  const server = await starting.finally(() => clearTimeout(giveUp));
  await server.stop(drainMs);
}

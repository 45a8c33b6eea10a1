/** The server store: PostgreSQL 13 or newer through `pg`, with the same shape as the embedded one. */
import pg from 'pg';
import { Problem } from '../domain/problem.ts';
import type { Pool, PoolClient, Store } from './database.ts';
import { describeDatabase } from './describe-database.ts';
import { createSharedListener, listeningPool } from './shared-listener.ts';

export interface ServerOptions {
  readonly url: string;
  readonly maxConnections: number;
  /** Longer than this no statement takes, and no answer is waited for: a frozen server fails requests. */
  readonly statementTimeoutMs?: number;
}

export const defaultStatementTimeoutMs = 10_000;
const connectTimeoutMs = 5_000;
/** The server gives up first, so that its error arrives; the client's own limit is for servers that say nothing. */
const answerGraceMs = 1_000;

export function openServerStore({
  url,
  maxConnections,
  statementTimeoutMs = defaultStatementTimeoutMs,
}: ServerOptions): Store {
  const connection = {
    connectionString: url,
    keepAlive: true,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'waybill',
  };
  const pool = new pg.Pool({
    ...connection,
    max: maxConnections,
    query_timeout: statementTimeoutMs + answerGraceMs,
    // BullMQ's statements name no schema; ours always do.
    options: `-c search_path=bullmq -c statement_timeout=${statementTimeoutMs}`,
  });
  // An idle connection that drops is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => undefined);
  // A client that is in use tells of a lost connection as well: its statement fails, and that is enough.
  pool.on('connect', (client) => client.on('error', () => undefined));
  // BullMQ adds a listener of its own for each queue.
  pool.setMaxListeners(0);
  const listener = createSharedListener(() => new pg.Client(connection) as never);
  const wrapped = wrapPool(pool);
  return {
    pool: wrapped,
    queuePool: listeningPool(wrapped, listener),
    listen: listener.listen,
    async close() {
      await listener.close();
      await pool.end();
    },
  };
}

/** An answer that did not come leaves the connection unusable: what is still to come belongs to nobody. */
const isTimeout = (error: unknown): boolean => error instanceof Error && error.message === 'Query read timeout';

/** A client released inside a transaction would hand it to the next borrower; it is rolled back first. */
function wrapPool(pool: pg.Pool): Pool {
  const connect = async (): Promise<PoolClient> => {
    const client = await pool.connect();
    const query = client.query.bind(client) as PoolClient['query'];
    const release = client.release.bind(client);
    let isBroken = false;
    const wrapped = client as unknown as PoolClient;
    // Kysely streams with callbacks nowhere here: every call is of the promise form.
    wrapped.query = async (text, values) => {
      try {
        return await query(text, values);
      } catch (error) {
        isBroken ||= isTimeout(error);
        throw error;
      }
    };
    wrapped.release = (destroy) => {
      wrapped.query = query;
      wrapped.release = release;
      if (destroy || isBroken) return release(true);
      if (client.getTransactionStatus() === 'I') return release();
      void client.query('rollback').then(
        () => release(),
        (error: Error) => release(error),
      );
    };
    return wrapped;
  };
  return {
    options: { keepAlive: true },
    on: (event, listener) => pool.on(event, listener),
    end: () => pool.end(),
    async query(text, values) {
      const client = await connect();
      try {
        return await client.query(text, values);
      } finally {
        client.release();
      }
    },
    connect,
  };
}

const oldestVersion = 130_000;

/** The server answers, and is new enough. @throws Problem `database_unavailable database_too_old` */
export async function checkServer(pool: Pool, url: string): Promise<void> {
  let version: number;
  try {
    const { rows } = await pool.query(`select current_setting('server_version_num')::int as version`);
    version = Number(rows[0]?.version);
  } catch (cause) {
    throw new Problem(
      'database_unavailable',
      `Cannot use ${describeDatabase(url)}: ${(cause as Error).message || 'no answer'}. Check DATABASE_URL, and that the server runs`,
      { cause },
    );
  }
  if (version < oldestVersion)
    throw new Problem(
      'database_too_old',
      `Cannot use ${describeDatabase(url)}: it is PostgreSQL ${Math.floor(version / 10_000)}, and 13 is the oldest that works. Upgrade it`,
    );
}

/** The server store: PostgreSQL 13 or newer through `pg`, with the same shape as the embedded one. */
import pg from 'pg';
import type { Pool, PoolClient, Store } from './database.ts';

export interface ServerOptions {
  readonly url: string;
  readonly maxConnections: number;
}

export function openServerStore({ url, maxConnections }: ServerOptions): Store {
  const pool = new pg.Pool({
    connectionString: url,
    max: maxConnections,
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    // BullMQ's statements name no schema; ours always do.
    options: '-c search_path=bullmq',
  });
  // An idle connection that drops is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => undefined);
  return { pool: rollbackOnRelease(pool), close: () => pool.end() };
}

/** A client released inside a transaction would hand it to the next borrower; it is rolled back first. */
function rollbackOnRelease(pool: pg.Pool): Pool {
  const wrapped: Pool = {
    options: { keepAlive: true },
    on: (event, listener) => pool.on(event, listener),
    end: () => pool.end(),
    query: (text, values) => pool.query(text as string, values) as never,
    async connect() {
      const client = await pool.connect();
      const release = client.release.bind(client);
      client.release = (destroy?: boolean | Error) => {
        client.release = release;
        if (destroy || client.getTransactionStatus() === 'I') return release(destroy);
        void client.query('rollback').then(
          () => release(),
          (error: Error) => release(error),
        );
      };
      return client as unknown as PoolClient;
    },
  };
  return wrapped;
}

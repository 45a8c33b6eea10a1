/**
 * The database as the rest of the system sees it, the same on both stores.
 *
 * A `pg.Pool`-shaped object serves Kysely and BullMQ alike. Its guard refuses a pool statement that is issued while
 * the same async context holds a transaction: on the embedded store it would wait for itself for ever, on a server
 * it would escape the transaction without a word.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { EventEmitter } from 'node:events';
import { Kysely, PostgresDialect, type Transaction } from 'kysely';
import type { Tables } from './tables.ts';

/** A result as `pg` returns it. */
export interface QueryResult {
  rows: Record<string, unknown>[];
  rowCount: number | null;
  command: string;
  fields: { name: string; dataTypeID: number }[];
}
export type Query = (text: string | { text: string; values?: unknown[] }, values?: unknown[]) => Promise<QueryResult>;

/** A session: `pg.PoolClient`, or the embedded store's stand-in for one. */
export interface PoolClient extends EventEmitter {
  query: Query;
  release(destroy?: boolean | Error): void;
}

/** The part of `pg.Pool` that Kysely and BullMQ use. */
export interface Pool {
  readonly options: { readonly keepAlive: boolean };
  connect(): Promise<PoolClient>;
  query: Query;
  end(): Promise<void>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** What a store supplies; `openDatabase` puts the guard and Kysely on top. */
export interface Store {
  readonly pool: Pool;
  /** What BullMQ is given, where its many listeners share one connection; without it, `pool` itself. */
  readonly queuePool?: Pool;
  /** Where listening does not take a client of the pool. */
  readonly listen?: Database['listen'];
  close(): Promise<void>;
}

export class NestedDatabaseAccessError extends Error {
  readonly code = 'nested_database_access';
  constructor(statement: string) {
    super(
      `Cannot run "${statement.trim().slice(0, 60)}": this async context holds an open transaction, and the statement would run outside of it. Use the transaction's own client.`,
    );
  }
}

export type Trx = Transaction<Tables>;

export interface Database {
  /** For single statements; never from inside `transaction`. */
  readonly pool: Pool;
  /** For BullMQ. */
  readonly queuePool: Pool;
  readonly kysely: Kysely<Tables>;
  /**
   * BEGIN … COMMIT on one session; rolls back when `work` throws, and runs it again after a deadlock. Keep it short, and free
   * of network calls.
   */
  transaction<T>(work: (trx: Trx) => Promise<T>): Promise<T>;
  /** Calls back for each NOTIFY on the channel until the returned function is called. */
  listen(channel: string, onPayload: (payload: string) => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

interface Held {
  isOpen: boolean;
}

export function openDatabase(store: Store): Database {
  const held = new AsyncLocalStorage<Held>();
  const pool = guardPool(store.pool, held);
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: pool as never }) });
  return {
    pool,
    queuePool: store.queuePool === undefined ? pool : guardPool(store.queuePool, held),
    kysely,
    async transaction(work) {
      assertNotHeld(held, 'begin');
      return againAfterDeadlock(() => held.run({ isOpen: false }, () => kysely.transaction().execute(work)));
    },
    listen: store.listen ?? ((channel, onPayload) => listenOn(store.pool, channel, onPayload)),
    close: () => store.close(),
  };
}

const mostDeadlocks = 3;

/** Of two transactions that wait for each other the database ends one, which has changed nothing then. */
async function againAfterDeadlock<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await run();
    } catch (error) {
      const isDeadlock = error instanceof Error && 'code' in error && error.code === '40P01';
      if (!isDeadlock || tries >= mostDeadlocks) throw error;
    }
  }
}

function assertNotHeld(held: AsyncLocalStorage<Held>, statement: string): void {
  // Timers and loops first made inside a transaction keep its context, so the flag, not the context, decides.
  if (held.getStore()?.isOpen) throw new NestedDatabaseAccessError(statement);
}

function guardPool(pool: Pool, held: AsyncLocalStorage<Held>): Pool {
  return {
    options: pool.options,
    on: (event, listener) => pool.on(event, listener),
    end: () => Promise.resolve(),
    async query(text, values) {
      assertNotHeld(held, typeof text === 'string' ? text : text.text);
      return pool.query(text, values);
    },
    async connect() {
      assertNotHeld(held, 'connect');
      const client = await pool.connect();
      const mark = held.getStore();
      if (mark) mark.isOpen = true;
      const release = client.release.bind(client);
      client.release = (destroy) => {
        if (mark) mark.isOpen = false;
        client.release = release;
        release(destroy);
      };
      return client;
    },
  };
}

async function listenOn(
  pool: Pool,
  channel: string,
  onPayload: (payload: string) => void,
): Promise<() => Promise<void>> {
  const client = await pool.connect();
  client.on('notification', (message: { channel: string; payload?: string }) => {
    if (message.channel === channel) onPayload(message.payload ?? '');
  });
  await client.query(`LISTEN "${channel}"`);
  return async () => {
    await client.query(`UNLISTEN "${channel}"`);
    client.removeAllListeners('notification');
    client.release(true);
  };
}

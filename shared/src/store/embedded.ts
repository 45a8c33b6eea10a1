/**
 * The embedded store: PGlite in process, behind the shape of a `pg.Pool`.
 *
 * PGlite is one session. A turn is one statement, or one BEGIN … COMMIT; everything else waits for its turn in
 * order, so that no statement of BullMQ's slips into a transaction of ours. It runs in process on purpose (a worker
 * thread halves the throughput), and without fsync: killing the process loses nothing, losing power may.
 */
/// <reference path="./pg-utils.d.ts" />
import { EventEmitter } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { PGlite, type Results } from '@electric-sql/pglite';
import pg from 'pg';
import { prepareValue } from 'pg/lib/utils.js';
import { Problem } from '../domain/problem.ts';
import type { Pool, PoolClient, Query, QueryResult, Store } from './database.ts';

export interface EmbeddedOptions {
  /** The cluster's folder, made when missing, under a lock the caller holds; null keeps everything in memory. */
  readonly path: string | null;
  /** A prepared cluster to start from. */
  readonly prepared?: Blob | undefined;
  onClose?(): void;
}

export interface EmbeddedStore extends Store {
  readonly pglite: PGlite;
}

export async function openEmbeddedStore({ path, prepared, onClose }: EmbeddedOptions): Promise<EmbeddedStore> {
  if (path !== null) await mkdir(path, { recursive: true, mode: 0o700 });
  const pglite = await PGlite.create({
    ...(path === null ? {} : { dataDir: path }),
    ...(prepared === undefined ? {} : { loadDataDir: prepared }),
    parsers: textParsers,
    serializers: textSerializers,
  });
  await pglite.exec('set search_path to bullmq');
  // PGlite puts parsers of its own for arrays over those it is given.
  Object.assign(pglite.parsers, textParsers);
  return createStore(pglite, onClose ?? (() => undefined));
}

function createStore(pglite: PGlite, onClose: () => void): EmbeddedStore {
  const turns = createTurns();
  let closing: Promise<void> | undefined;
  const run = (text: string, values?: unknown[]) => runStatement(pglite, text, values);
  const pool: Pool = {
    options: { keepAlive: true },
    on: () => pool,
    end: () => Promise.resolve(),
    async connect() {
      if (closing) throw new Problem('shutting_down', 'Cannot use the database: it is closed');
      return new EmbeddedClient(pglite, turns);
    },
    query: (text, values) => turns.next(() => run(...statementOf(text, values))),
  };
  return {
    pglite,
    pool,
    close() {
      closing ??= turns.next(() => pglite.close()).finally(onClose);
      return closing;
    },
  };
}

interface Turns {
  /** Runs the work when all earlier turns are over. */
  next<T>(work: () => Promise<T>): Promise<T>;
  /** Takes a turn and keeps it until the returned function is called. */
  take(): Promise<() => void>;
}

function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  const take = (): Promise<() => void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = last;
    last = promise;
    return before.then(() => resolve);
  };
  return {
    take,
    async next(work) {
      const done = await take();
      try {
        return await work();
      } finally {
        done();
      }
    },
  };
}

/** One borrowed "session": it holds its turn from BEGIN to COMMIT, ROLLBACK or release. */
class EmbeddedClient extends EventEmitter implements PoolClient {
  readonly #pglite: PGlite;
  readonly #turns: Turns;
  readonly #listening = new Map<string, () => Promise<void>>();
  #endTurn: (() => void) | null = null;

  constructor(pglite: PGlite, turns: Turns) {
    super();
    this.#pglite = pglite;
    this.#turns = turns;
  }

  query: Query = async (text, values) => {
    const [sql, parameters] = statementOf(text, values);
    const verb = verbOf(sql);
    if (verb === 'LISTEN' || verb === 'UNLISTEN') return this.#subscribe(verb, sql);
    if (this.#endTurn) return this.#inTransaction(sql, parameters, verb);
    if (verb !== 'BEGIN' && verb !== 'START')
      return this.#turns.next(() => runStatement(this.#pglite, sql, parameters));
    const endTurn = await this.#turns.take();
    try {
      const result = await runStatement(this.#pglite, sql, parameters);
      this.#endTurn = endTurn;
      return result;
    } catch (error) {
      endTurn();
      throw error;
    }
  };

  async #inTransaction(sql: string, parameters: unknown[] | undefined, verb: string): Promise<QueryResult> {
    const isEnd = verb === 'COMMIT' || verb === 'END' || (verb === 'ROLLBACK' && !/\bto\b/i.test(sql));
    try {
      return await runStatement(this.#pglite, sql, parameters);
    } finally {
      if (isEnd) this.#finishTurn();
    }
  }

  #finishTurn(): void {
    this.#endTurn?.();
    this.#endTurn = null;
  }

  async #subscribe(verb: 'LISTEN' | 'UNLISTEN', sql: string): Promise<QueryResult> {
    const [, quoted, plain] = /^\w+\s+(?:"([^"]+)"|([^\s;]+))/.exec(bareOf(sql)) ?? [];
    const channel = quoted ?? plain?.toLowerCase() ?? '';
    const turn = this.#endTurn ? null : await this.#turns.take();
    try {
      if (verb === 'UNLISTEN') {
        await this.#listening.get(channel)?.();
        this.#listening.delete(channel);
      } else if (!this.#listening.has(channel)) {
        const stop = await this.#pglite.listen(`"${channel}"`, (payload) =>
          this.emit('notification', { channel, payload }),
        );
        this.#listening.set(channel, () => stop());
      }
    } finally {
      turn?.();
    }
    return { rows: [], rowCount: null, command: verb, fields: [] };
  }

  release(): void {
    const channels = [...this.#listening.values()];
    this.#listening.clear();
    if (channels.length > 0) {
      void this.#turns.next(async () => {
        for (const stop of channels) await stop();
      });
    }
    if (!this.#endTurn) return;
    void runStatement(this.#pglite, 'rollback')
      .catch(() => undefined)
      .finally(() => this.#finishTurn());
  }
}

function statementOf(
  text: string | { text: string; values?: unknown[] },
  values?: unknown[],
): [string, unknown[] | undefined] {
  return typeof text === 'string' ? [text, values] : [text.text, text.values ?? values];
}

/** BullMQ's command files begin with comment lines, which must go before the first word can be read. */
function verbOf(sql: string): string {
  return (/^[a-z]+/i.exec(bareOf(sql))?.[0] ?? '').toUpperCase();
}

const bareOf = (sql: string): string => sql.replace(/^(?:\s+|--[^\n]*\n|\/\*[\s\S]*?\*\/)+/, '');

async function runStatement(pglite: PGlite, sql: string, values?: unknown[]): Promise<QueryResult> {
  if (!values || values.length === 0) {
    const results = (await pglite.exec(sql)).map((result) => toPgResult(result, sql));
    const last = results.at(-1) ?? { rows: [], rowCount: null, command: verbOf(sql), fields: [] };
    // `pg` answers several statements with a list; nobody here reads more than the last.
    return last;
  }
  return toPgResult(await pglite.query(sql, values.map(toParameter)), sql);
}

function toPgResult(result: Results, sql: string): QueryResult {
  const rows = result.rows as Record<string, unknown>[];
  return { rows, rowCount: result.rowCount ?? null, command: result.command ?? verbOf(sql), fields: result.fields };
}

/** The text form `pg` would send; bytes as a hex literal. */
function toParameter(value: unknown): unknown {
  const prepared: unknown = prepareValue(value);
  return prepared instanceof Uint8Array ? `\\x${Buffer.from(prepared).toString('hex')}` : prepared;
}

/** Results are read by `pg`'s own parsers, so that a value has one type whatever the store. */
const parsedOids = [
  16, 17, 20, 21, 23, 25, 26, 114, 700, 701, 1000, 1005, 1007, 1009, 1015, 1016, 1021, 1022, 1042, 1043, 1082, 1114,
  1115, 1184, 1185, 1186, 1231, 1700, 2950, 2951, 3802, 3807, 199,
];
const textParsers = Object.fromEntries(
  parsedOids.map((oid) => {
    const parse = pg.types.getTypeParser(oid, 'text') as (text: string) => unknown;
    return [oid, (text: string) => parse(text)];
  }),
);
const textSerializers = Object.fromEntries(parsedOids.map((oid) => [oid, (value: unknown) => String(value)]));

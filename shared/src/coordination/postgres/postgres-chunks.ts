/** Chunks on UNLOGGED tables of a PostgreSQL server; NOTIFY on one channel wakes who reads. */
import { EventEmitter } from 'node:events';
import { collectTick } from '../../store/collect-tick.ts';
import type { Database, Pool } from '../../store/database.ts';
import {
  type AppendAnswer,
  type ChunkBounds,
  type ChunkStore,
  chunkBounds,
  newToken,
  pageSize,
  streamKey,
  toPage,
  toTexts,
  type WriterPlace,
} from '../chunks.ts';

const channel = 'waybill_chunks';
const maxGroup = 100;
const maxStatements = 2;

export function createPostgresChunks(database: Database, bounds: ChunkBounds = chunkBounds): ChunkStore {
  const { pool } = database;
  const append = collectTick((items: readonly Item[]) => appendAll(pool, items, bounds), {
    maxItems: maxGroup,
    maxInFlight: maxStatements,
  });
  const watchers = createWatchers(database);
  return {
    async open(stream, attempt) {
      const key = streamKey(stream);
      const { rows } = await pool.query(
        `insert into coordination.streams as s (stream, token, attempt) values ($1, $2, $3)
         on conflict (stream) do update set attempt = excluded.attempt, touched_at = clock_timestamp() where s.attempt <= excluded.attempt
         returning token`,
        [key, newToken(), attempt],
      );
      const [row] = rows;
      // Nobody else adds to it from here on.
      return row === undefined
        ? null
        : toPage(row.token as string, await textsOf(pool, key, 0, bounds.eventsPerStream));
    },
    append: (stream, place, events) => append({ key: streamKey(stream), place, texts: toTexts(events) }),
    async read(stream, after) {
      const { rows } = await pool.query(
        `select s.token, array(select e.event from coordination.stream_events e
           where e.stream = s.stream and e.n > $2 and e.n <= $2 + $3 order by e.n) as events
         from coordination.streams s where s.stream = $1`,
        [streamKey(stream), after, pageSize],
      );
      const [row] = rows;
      return row === undefined ? null : toPage(row.token as string, row.events as string[]);
    },
    watch: (stream, onAppended) => watchers.add(streamKey(stream), onAppended),
    async forgetOld() {
      await pool.query(
        `with gone as (delete from coordination.streams where touched_at < clock_timestamp() - make_interval(secs => $1)
           or stream in (select stream from coordination.streams order by touched_at desc offset $2) returning stream)
         delete from coordination.stream_events e using gone where e.stream = gone.stream`,
        [bounds.lifetimeMs / 1_000, bounds.streams],
      );
    },
    close: () => watchers.close(),
  };
}

async function textsOf(pool: Pool, key: string, after: number, limit: number): Promise<string[]> {
  const { rows } = await pool.query(
    'select event from coordination.stream_events where stream = $1 and n > $2 order by n limit $3',
    [key, after, limit],
  );
  return rows.map((row) => row.event as string);
}

interface Item {
  readonly key: string;
  readonly place: WriterPlace;
  readonly texts: readonly string[];
}

async function appendAll(pool: Pool, items: readonly Item[], bounds: ChunkBounds): Promise<AppendAnswer[]> {
  const { rows } = await pool.query(
    'select coordination.append_events($1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::text[], $7, $8, $9) as answers',
    [
      items.map(({ key }) => key),
      items.map(({ place }) => place.token),
      items.map(({ place }) => place.attempt),
      items.map(({ place }) => place.after),
      items.map(({ texts }) => texts.length),
      items.flatMap(({ texts }) => texts),
      bounds.eventsPerStream,
      bounds.bytesPerStream,
      channel,
    ],
  );
  return rows[0]?.answers as AppendAnswer[];
}

/** Listens from the first reader on, until the close. */
function createWatchers(database: Database): {
  add(key: string, listener: () => void): () => void;
  close(): Promise<void>;
} {
  const appended = new EventEmitter().setMaxListeners(0);
  let listening: Promise<() => Promise<void>> | null = null;
  const listen = () => {
    if (listening !== null) return;
    const opening = database.listen(channel, (key) => void appended.emit(key));
    listening = opening;
    opening.catch(() => {
      // Tried again by the next reader; those who wait look for themselves.
      listening = null;
    });
  };
  return {
    add(key, listener) {
      listen();
      appended.on(key, listener);
      return () => void appended.off(key, listener);
    },
    async close() {
      const stop = await listening?.catch(() => undefined);
      await stop?.().catch(() => undefined);
    },
  };
}

/**
 * One LISTEN connection for the whole process, however many queues listen.
 *
 * BullMQ takes a client from its pool for each worker and keeps it. `listeningPool` hands it a stand-in that costs no
 * connection until a real statement comes: its LISTEN is answered from here.
 */
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, PoolClient, QueryResult } from './database.ts';

/** What the listener needs of `pg.Client`. */
export interface ListenClient extends EventEmitter {
  connect(): Promise<unknown>;
  query(text: string): Promise<unknown>;
  end(): Promise<void>;
}

export interface SharedListener {
  /** Calls back for each NOTIFY on the channel until the returned function is called. */
  listen(channel: string, onPayload: (payload: string) => void): Promise<() => Promise<void>>;
  /** Called whenever the connection was lost: what was told meanwhile is not told again. */
  onLost(listener: () => void): () => void;
  close(): Promise<void>;
}

const firstRetryMs = 100;
const longestRetryMs = 2_000;

/** The one connection: made when it is needed, and again whenever it is lost. */
interface Line {
  /** Resolves with a client that listens on all channels. */
  open(): Promise<ListenClient>;
  /** The client, if there is one now. */
  current(): Promise<ListenClient | null>;
  close(): Promise<void>;
}

interface LineEvents {
  readonly channels: () => Iterable<string>;
  readonly onNotification: (channel: string, payload: string) => void;
  readonly onLost: () => void;
}

function createLine(createClient: () => ListenClient, events: LineEvents): Line {
  const closing = new AbortController();
  let current: Promise<ListenClient> | null = null;
  const connect = async (): Promise<ListenClient> => {
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(longestRetryMs, waitMs * 2)) {
      const client = createClient();
      client.on('error', () => undefined);
      try {
        await client.connect();
        for (const channel of events.channels()) await client.query(`LISTEN "${channel}"`);
        client.on('notification', ({ channel, payload }: { channel: string; payload?: string }) =>
          events.onNotification(channel, payload ?? ''),
        );
        client.once('end', dropped);
        return client;
      } catch (error) {
        await client.end().catch(() => undefined);
        if (closing.signal.aborted) throw error;
        await sleep(waitMs, undefined, { signal: closing.signal });
      }
    }
  };
  const open = (): Promise<ListenClient> => {
    if (current !== null) return current;
    const opening = connect();
    current = opening;
    opening.catch(() => {
      if (current === opening) current = null;
    });
    return opening;
  };
  const dropped = () => {
    if (closing.signal.aborted) return;
    current = null;
    events.onLost();
    if ([...events.channels()].length > 0) open().catch(() => undefined);
  };
  return {
    open,
    current: async () => (await current?.catch(() => null)) ?? null,
    async close() {
      closing.abort();
      const client = await current?.catch(() => null);
      current = null;
      await client?.end().catch(() => undefined);
    },
  };
}

export function createSharedListener(createClient: () => ListenClient): SharedListener {
  const told = new EventEmitter().setMaxListeners(0);
  const lost = new EventEmitter().setMaxListeners(0);
  const channels = new Map<string, number>();
  const line = createLine(createClient, {
    channels: () => channels.keys(),
    onNotification: (channel, payload) => void told.emit(channel, payload),
    onLost: () => void lost.emit('lost'),
  });
  return {
    async listen(channel, onPayload) {
      const users = channels.get(channel) ?? 0;
      channels.set(channel, users + 1);
      told.on(channel, onPayload);
      const forget = (): boolean => {
        told.off(channel, onPayload);
        const left = (channels.get(channel) ?? 1) - 1;
        if (left > 0) channels.set(channel, left);
        else channels.delete(channel);
        return left <= 0;
      };
      try {
        const client = await line.open();
        if (users === 0) await client.query(`LISTEN "${channel}"`);
      } catch (error) {
        forget();
        throw error;
      }
      return async () => {
        if (forget()) await (await line.current())?.query(`UNLISTEN "${channel}"`).catch(() => undefined);
      };
    },
    onLost(listener) {
      lost.on('lost', listener);
      return () => void lost.off('lost', listener);
    },
    close: () => line.close(),
  };
}

const nothing: QueryResult = { rows: [], rowCount: 0, command: 'LISTEN', fields: [] };

/** A pool whose clients listen over the shared connection, and take a real one for everything else. */
export function listeningPool(pool: Pool, listener: SharedListener): Pool {
  return {
    options: pool.options,
    on: (event, onError) => pool.on(event, onError),
    end: () => Promise.resolve(),
    query: (text, values) => pool.query(text, values),
    connect: async () => standInClient(pool, listener),
  };
}

function standInClient(pool: Pool, listener: SharedListener): PoolClient {
  const client = new EventEmitter() as PoolClient;
  client.setMaxListeners(0);
  const stops = new Map<string, () => Promise<void>>();
  let real: Promise<PoolClient> | null = null;
  const offLost = listener.onLost(() => {
    // BullMQ takes a new client, and looks whether it missed something.
    if (client.listenerCount('error') > 0) client.emit('error', new Error('the LISTEN connection was lost'));
  });
  client.query = async (text, values) => {
    const statement = (typeof text === 'string' ? text : text.text).replace(/^\s*(--[^\n]*\n\s*)*/, '');
    const [, verb, channel] = /^(LISTEN|UNLISTEN)\s+"?([\w*]+)"?/i.exec(statement) ?? [];
    if (verb !== undefined && channel !== undefined) {
      if (verb.toUpperCase() === 'UNLISTEN') {
        const stop = stops.get(channel);
        stops.delete(channel);
        await stop?.();
      } else if (!stops.has(channel))
        stops.set(
          channel,
          await listener.listen(channel, (payload) => client.emit('notification', { channel, payload })),
        );
      return nothing;
    }
    // A name for the session of a listener: this one has none of its own.
    if (/^select set_config\('application_name'/i.test(statement)) return nothing;
    real ??= pool.connect();
    return (await real).query(text, values);
  };
  client.release = (destroy) => {
    offLost();
    for (const stop of stops.values()) void stop();
    stops.clear();
    void real?.then(
      (open) => open.release(destroy),
      () => undefined,
    );
  };
  return client;
}

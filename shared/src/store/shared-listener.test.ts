import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { Pool, PoolClient } from './database.ts';
import { createSharedListener, type ListenClient, listeningPool } from './shared-listener.ts';

/** A server with sessions that listen; a test may drop them, or refuse new ones. */
function startServer() {
  const sessions: Session[] = [];
  const server = {
    refusals: 0,
    made: 0,
    failsNext: null as RegExp | null,
    sessions: () => sessions.filter((session) => session.isOpen),
    createClient: (): ListenClient => {
      server.made += 1;
      return new Session();
    },
    notify(channel: string, payload?: string) {
      for (const session of sessions.filter((each) => each.isOpen && each.channels.has(channel)))
        session.emit('notification', { channel, ...(payload === undefined ? {} : { payload }) });
    },
    drop() {
      for (const session of server.sessions()) session.close(new Error('the connection was reset'));
    },
  };
  class Session extends EventEmitter implements ListenClient {
    readonly channels = new Set<string>();
    readonly statements: string[] = [];
    isOpen = false;
    async connect() {
      if (server.refusals > 0) {
        server.refusals -= 1;
        throw new Error('the server is starting up');
      }
      this.isOpen = true;
      sessions.push(this);
    }
    async query(text: string) {
      this.statements.push(text);
      if (server.failsNext?.test(text)) {
        server.failsNext = null;
        throw new Error('the connection was reset');
      }
      const [, verb, channel = ''] = /^(LISTEN|UNLISTEN) "(.*)"$/.exec(text) ?? [];
      if (verb === 'LISTEN') this.channels.add(channel);
      if (verb === 'UNLISTEN') this.channels.delete(channel);
    }
    async end() {
      if (this.isOpen) this.close();
    }
    close(error?: Error) {
      this.isOpen = false;
      if (error) this.emit('error', error);
      this.emit('end');
    }
  }
  return server;
}

const until = async (isMet: () => boolean) => {
  while (!isMet()) await new Promise((resolve) => setTimeout(resolve, 5));
};

test('many listeners share one connection, and each hears its own channel', async () => {
  const server = startServer();
  const listener = createSharedListener(server.createClient);
  const heard: string[] = [];
  await Promise.all([
    listener.listen('jobs', (payload) => heard.push(`1 ${payload}`)),
    listener.listen('jobs', (payload) => heard.push(`2 ${payload}`)),
    listener.listen('events', (payload) => heard.push(`3 ${payload}`)),
  ]);
  expect(server.made).toBe(1);
  server.notify('jobs', 'a');
  server.notify('events');
  server.notify('other', 'b');
  expect(heard).toEqual(['1 a', '2 a', '3 ']);
  await listener.close();
  expect(server.sessions()).toEqual([]);
});

test('a channel is listened to until its last listener has gone', async () => {
  const server = startServer();
  const listener = createSharedListener(server.createClient);
  const heard: string[] = [];
  const [first, second] = [
    await listener.listen('jobs', (payload) => heard.push(`1 ${payload}`)),
    await listener.listen('jobs', (payload) => heard.push(`2 ${payload}`)),
  ];
  await first();
  server.notify('jobs', 'a');
  expect(heard).toEqual(['2 a']);
  await second();
  expect(server.sessions()[0]?.channels.size).toBe(0);
  await listener.listen('jobs', (payload) => heard.push(`3 ${payload}`));
  server.notify('jobs', 'b');
  expect(heard).toEqual(['2 a', '3 b']);
  await listener.close();
});

test('a lost connection is told, and replaced by one that listens to the same channels', async () => {
  const server = startServer();
  const listener = createSharedListener(server.createClient);
  let lost = 0;
  const offLost = listener.onLost(() => {
    lost += 1;
  });
  const heard: string[] = [];
  await listener.listen('jobs', (payload) => heard.push(payload));
  await (await listener.listen('events', () => undefined))();
  server.refusals = 1;
  server.drop();
  expect(lost).toBe(1);
  await until(() => server.sessions()[0]?.channels.has('jobs') === true);
  expect([...(server.sessions()[0]?.channels ?? [])]).toEqual(['jobs']);
  expect(server.made).toBe(3);
  server.notify('jobs', 'a');
  expect(heard).toEqual(['a']);
  offLost();
  server.drop();
  expect(lost).toBe(1);
  await listener.close();
});

test('a connection that nobody listens on is not replaced until somebody does', async () => {
  const server = startServer();
  const listener = createSharedListener(server.createClient);
  await (await listener.listen('jobs', () => undefined))();
  server.drop();
  expect(server.made).toBe(1);
  const heard: string[] = [];
  await listener.listen('jobs', (payload) => heard.push(payload));
  server.notify('jobs', 'a');
  expect([server.made, ...heard]).toEqual([2, 'a']);
  await listener.close();
});

test('closing ends a connection that is being tried again', async () => {
  const server = startServer();
  const listener = createSharedListener(server.createClient);
  server.refusals = Number.POSITIVE_INFINITY;
  const listening = listener.listen('jobs', () => undefined);
  const refused = expect(listening).rejects.toThrow();
  await until(() => server.made > 0);
  await listener.close();
  await refused;
});

test('a listen that failed leaves nothing behind: the next one on the channel hears, the failed one does not', async () => {
  const server = startServer();
  const listener = createSharedListener(server.createClient);
  await listener.listen('events', () => undefined);
  const heard: string[] = [];
  server.failsNext = /LISTEN "jobs"/;
  await expect(listener.listen('jobs', (payload) => heard.push(payload))).rejects.toThrow('reset');
  const again: string[] = [];
  await listener.listen('jobs', (payload) => again.push(payload));
  server.notify('jobs', 'a');
  expect({ heard, again }).toEqual({ heard: [], again: ['a'] });
  await listener.close();
});

/** A pool that hands out clients which note what they are asked. */
function startPool() {
  const statements: string[] = [];
  const released: unknown[] = [];
  const pool = {
    taken: 0,
    statements,
    released,
    options: { keepAlive: true },
    on: () => undefined,
    end: () => Promise.resolve(),
    query: async (text: string) => {
      statements.push(`pool: ${text}`);
      return { rows: [], rowCount: 0, command: '', fields: [] };
    },
    connect: async () => {
      pool.taken += 1;
      return Object.assign(new EventEmitter(), {
        query: async (text: string) => {
          statements.push(text);
          return { rows: [{ one: 1 }], rowCount: 1, command: 'SELECT', fields: [] };
        },
        release: (destroy?: boolean | Error) => void released.push(destroy),
      }) as PoolClient;
    },
  };
  return pool;
}

test('the stand-in of a client listens without a connection of the pool, and takes one for a statement', async () => {
  const server = startServer();
  const listener = createSharedListener(server.createClient);
  const pool = startPool();
  const client = await listeningPool(pool as unknown as Pool, listener).connect();
  const heard: unknown[] = [];
  client.on('notification', (message) => heard.push(message));
  await client.query("select set_config('application_name', $1, false)", ['bullmq']);
  await client.query('-- why\n LISTEN "jobs"');
  await client.query({ text: 'listen jobs' });
  server.notify('jobs', 'a');
  expect(heard).toEqual([{ channel: 'jobs', payload: 'a' }]);
  expect(pool.taken).toBe(0);
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await client.query('select 2');
  expect([pool.taken, ...pool.statements]).toEqual([1, 'select 1 as one', 'select 2']);
  client.release(true);
  await until(() => pool.released.length > 0);
  expect(pool.released).toEqual([true]);
  await until(() => server.sessions()[0]?.channels.size === 0);
  await listener.close();
});

test('a stand-in that stopped listening may listen again, and its release leaves other listeners alone', async () => {
  const server = startServer();
  const listener = createSharedListener(server.createClient);
  const pool = listeningPool(startPool() as unknown as Pool, listener);
  const [client, other] = [await pool.connect(), await pool.connect()];
  const heard: string[] = [];
  client.on('notification', ({ payload }) => heard.push(`client ${payload}`));
  other.on('notification', ({ payload }) => heard.push(`other ${payload}`));
  for (const each of [client, other]) await each.query('LISTEN "jobs"');
  await client.query('UNLISTEN "jobs"');
  server.notify('jobs', 'a');
  await client.query('LISTEN "jobs"');
  server.notify('jobs', 'b');
  await client.query('UNLISTEN "jobs"');
  client.release();
  await new Promise((resolve) => setImmediate(resolve));
  server.notify('jobs', 'c');
  expect(heard.toSorted()).toEqual(['client b', 'other a', 'other b', 'other c']);
  await listener.close();
});

test('a stand-in tells of a lost connection as its own error, and not once it is released', async () => {
  const server = startServer();
  const listener = createSharedListener(server.createClient);
  const pool = listeningPool(startPool() as unknown as Pool, listener);
  const [deaf, client] = [await pool.connect(), await pool.connect()];
  const errors: string[] = [];
  client.on('error', ({ message }: Error) => errors.push(message));
  await client.query('LISTEN "jobs"');
  await deaf.query('LISTEN "jobs"');
  server.drop();
  expect(errors).toEqual(['the LISTEN connection was lost']);
  await until(() => server.sessions()[0]?.channels.has('jobs') === true);
  client.release();
  server.drop();
  expect(errors).toHaveLength(1);
  await listener.close();
});

/** Every store coordination can be on, with as many processes as a test wants, and what only the store itself can do. */
import { randomUUID } from 'node:crypto';
import { soleAccount } from '@waybill/shared/config/model-settings.ts';
import type { Coordination, PermitAnswer, PermitEnd } from '@waybill/shared/coordination/coordination.ts';
import { createPostgresCoordination } from '@waybill/shared/coordination/postgres/postgres-coordination.ts';
import { createRedisCoordination } from '@waybill/shared/coordination/redis/redis-coordination.ts';
import { createSignals } from '@waybill/shared/coordination/signals.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import type { RedisClient } from '@waybill/shared/redis/connect.ts';
import { type Database, openDatabase } from '@waybill/shared/store/database.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { openServerStore } from '@waybill/shared/store/server.ts';
import { startPostgresServer } from './postgres-server.ts';
import { closesInReverse, newPrefix, onDatabase } from './queues-under-test.ts';
import { flushAll, openRedisClient } from './redis-clients.ts';
import { startRedisServer } from './redis-server.ts';
import { startRedisCluster } from './redis-server-cluster.ts';

/** How a call ends that went well, and whose rate nothing limits. */
export const callEnd: Omit<PermitEnd, 'token' | 'target' | 'place'> = {
  concurrency: 8,
  pressure: 'none',
  heldMs: 100,
  restMs: 0,
  tenantId: 'ten_1',
  estimated: 10,
  used: 10,
  outcome: 'success',
  isProbe: false,
  breakerWindowMs: 60_000,
  isLatencyWatched: false,
};

/** Where it went, apart from when. */
export const goAt = (place: string): Omit<Extract<PermitAnswer, { kind: 'go' }>, 'atMs'> => ({
  kind: 'go',
  place,
  isProbe: false,
});

/** All places are taken. */
export const allTaken: PermitAnswer = { kind: 'wait', reason: 'concurrency', retryAfterMs: null, forAllMs: null };

/** What the store holds, past the interface. */
export interface CoordinationStore {
  /** Tokens at a place of a target; at the only one of a provider without accounts. */
  permits(target: string, place?: string): Promise<string[]>;
  /** Moves the end of permits to so many milliseconds from now. */
  endPermits(target: string, inMs: number): Promise<void>;
  losePermit(target: string, token: string): Promise<void>;
  /** A permit as processes of the version before take it; they know no places. True: there was room. */
  takeAsBefore(target: string, epoch: string, concurrency: number, token: string): Promise<boolean>;
  /** No place of the target rests any more. */
  endRests(target: string): Promise<void>;
  /** Moves the end of the turn of the target's probe to so many milliseconds from now. */
  endProbe(target: string, inMs: number): Promise<void>;
  /** Makes what was counted so much older. */
  ageThroughput(provider: string, seconds: number): Promise<void>;
  /** What a crash or an operator does: everything is gone. */
  wipe(): Promise<void>;
}

export interface CoordinationUnderTest extends CoordinationStore {
  readonly source: string;
  /** As another process would have it; closed by `stop` at the latest. */
  open(): Promise<Coordination>;
  /** A packet of signals, whoever sends it. */
  sendRaw(packet: string): Promise<void>;
  /** A provider of its own for each test. */
  newProvider(): string;
  stop(): Promise<void>;
}

export const coordinationsUnderTest = [
  { name: 'PGlite', isAlone: true, start: startOnEmbedded },
  { name: 'PostgreSQL', isAlone: false, start: startOnPostgres },
  { name: 'Redis', isAlone: false, start: async () => coordinationOverRedis(await startRedisServer()) },
  { name: 'Redis Cluster', isAlone: false, start: async () => coordinationOverRedis(await startRedisCluster()) },
] as const;

const channel = 'waybill_signals';

function nameProviders() {
  const names: string[] = [];
  const newProvider = () => {
    const name = `provider-${names.length}`;
    names.push(name);
    return name;
  };
  return { names, newProvider };
}

async function startOnEmbedded(): Promise<CoordinationUnderTest> {
  const database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
  const signals = createSignals('alone', null, () => undefined);
  return {
    source: 'PGlite in memory',
    ...sqlStore(database),
    open: async () => createPostgresCoordination({ database, signals }),
    sendRaw: async (packet) => signals.receive(packet),
    newProvider: nameProviders().newProvider,
    stop: () => database.close(),
  };
}

async function startOnPostgres(): Promise<CoordinationUnderTest> {
  const server = await startPostgresServer();
  const url = await server.createDatabase();
  await onDatabase(url, migrate);
  const own = openDatabase(openServerStore({ url, maxConnections: 2 }));
  const closes = closesInReverse(() => server.stop());
  closes.add(() => own.close());
  const sendTo = (database: Database) => async (packet: string) =>
    void (await database.pool.query('select pg_notify($1, $2)', [channel, packet]));
  return {
    source: server.source,
    ...sqlStore(own),
    async open() {
      const database = openDatabase(openServerStore({ url, maxConnections: 6 }));
      const signals = createSignals(randomUUID(), { send: sendTo(database) }, () => undefined);
      const stop = await database.listen(channel, signals.receive);
      let closing: Promise<void> | undefined;
      const onClose = async () => {
        closing ??= stop().then(() => database.close());
        await closing;
      };
      closes.add(onClose);
      return createPostgresCoordination({ database, signals, onClose });
    },
    sendRaw: sendTo(own),
    newProvider: nameProviders().newProvider,
    stop: closes.all,
  };
}

export async function coordinationOverRedis(server: {
  readonly url: string;
  readonly source: string;
  stop(): Promise<void>;
}): Promise<CoordinationUnderTest> {
  const prefix = newPrefix();
  const own = await openRedisClient(server.url, 'command');
  const { names, newProvider } = nameProviders();
  const closes = closesInReverse(() => server.stop());
  closes.add(async () => own.disconnect());
  return {
    source: server.source,
    ...redisStore(own, prefix),
    async open() {
      const opened = await openRedisCoordination(server.url, prefix, () => names);
      closes.add(opened.close);
      return opened.coordination;
    },
    sendRaw: async (packet) => void (await own.publish(`${prefix}:signals`, packet)),
    newProvider,
    stop: closes.all,
  };
}

/** As the composition of a process does it. */
export async function openRedisCoordination(url: string, prefix: string, providers: () => readonly string[]) {
  const client = await openRedisClient(url, 'command');
  const subscriber = await openRedisClient(url, 'subscriber');
  const wire = { send: async (packet: string) => void (await client.publish(`${prefix}:signals`, packet)) };
  const signals = createSignals(randomUUID(), wire, () => undefined);
  subscriber.on('message', (_channel: string, packet: string) => signals.receive(packet));
  await subscriber.subscribe(`${prefix}:signals`);
  const close = async () => {
    client.disconnect();
    subscriber.disconnect();
  };
  return { coordination: createRedisCoordination({ client, prefix, signals, providers, onClose: close }), close };
}

function sqlStore({ pool }: Database): CoordinationStore {
  return {
    async permits(target, place = soleAccount) {
      const { rows } = await pool.query(
        'select token from coordination.permits where target = $1 and place = $2 order by 1',
        [target, place],
      );
      return rows.map(({ token }) => token as string);
    },
    async endPermits(target, inMs) {
      await pool.query(
        `update coordination.permits set expires_at = clock_timestamp() + $2 * interval '1 millisecond' where target = $1`,
        [target, inMs],
      );
    },
    async losePermit(_target, token) {
      await pool.query('delete from coordination.permits where token = $1', [token]);
    },
    async takeAsBefore(target, epoch, concurrency, token) {
      const { rows } = await pool.query('select coordination.take_permits($1, $2, $3, $4, $5::text[]) as taken', [
        epoch,
        target,
        concurrency,
        30_000,
        [token],
      ]);
      return rows[0]?.taken === 1;
    },
    async endRests(target) {
      await pool.query(`update coordination.places set rest_until = '-infinity' where target = $1`, [target]);
    },
    async endProbe(target, inMs) {
      await pool.query(
        `update coordination.breakers set probe_until = clock_timestamp() + $2 * interval '1 millisecond' where target = $1 and probe_token is not null`,
        [target, inMs],
      );
    },
    async ageThroughput(provider, seconds) {
      await pool.query(
        `update coordination.throughput set second = second - $2 where split_part(target, '/', 1) = $1`,
        [provider, seconds],
      );
    },
    async wipe() {
      await pool.query(
        'truncate coordination.permits, coordination.pauses, coordination.throughput, coordination.charges, coordination.epochs, coordination.places, coordination.rates, coordination.kept_room, coordination.breakers, coordination.outcomes, coordination.usual, coordination.retries',
      );
    },
  };
}

export function redisStore(client: RedisClient, prefix: string): CoordinationStore {
  const keyOf = (target: string, what: string) => {
    const { provider, model } = splitTarget(target);
    return `${prefix}:{${provider}}:${what}:${model}`;
  };
  const permitsKey = (target: string, place: string = soleAccount) =>
    `${keyOf(target, 'permits')}${place === soleAccount ? '' : `|${place}`}`;
  return {
    permits: async (target, place) => (await client.zrange(permitsKey(target, place), '0', '-1')).sort(),
    async endPermits(target, inMs) {
      // The server runs on this machine: it has the same clock.
      for (const token of await client.zrange(permitsKey(target), '0', '-1'))
        await client.zadd(permitsKey(target), 'XX', String(Date.now() + inMs), token);
    },
    losePermit: async (target, token) => void (await client.zrem(permitsKey(target), token)),
    async takeAsBefore(target, _epoch, concurrency, token) {
      // What the script of that version did with the one key it knew.
      if ((await client.zcard(permitsKey(target))) >= concurrency) return false;
      await client.zadd(permitsKey(target), String(Date.now() + 30_000), token);
      return true;
    },
    async endRests(target) {
      const key = keyOf(target, 'places');
      for (const field of await client.hkeys(key)) if (field.endsWith(' rest')) await client.hdel(key, field);
    },
    async endProbe(target, inMs) {
      const key = `${prefix}:{${splitTarget(target).provider}}:breakers`;
      const probe = await client.hget(key, `${target} probe`);
      if (probe) await client.hset(key, `${target} probe`, `${probe.split(' ')[0]} ${Date.now() + inMs}`);
    },
    async ageThroughput(provider, seconds) {
      const key = `${prefix}:{${provider}}:throughput`;
      for (const [field, ended] of Object.entries(await client.hgetall(key))) {
        const [target, second] = field.split(' ');
        await client.hdel(key, field);
        await client.hset(key, `${target} ${Number(second) - seconds}`, ended);
      }
    },
    wipe: () => flushAll(client),
  };
}

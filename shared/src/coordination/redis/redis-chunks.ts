/** Chunks on Redis: a head and a list per stream under one hash tag, one script per use, PUBLISH to wake who reads. */
import type { RedisClient } from '../../redis/connect.ts';
import {
  type AppendAnswer,
  type ChunkBounds,
  type ChunkStore,
  chunkBounds,
  newToken,
  pageSize,
  type StreamName,
  streamKey,
  toPage,
  toTexts,
} from '../chunks.ts';

export interface RedisChunksOptions {
  /** With the `command` policy: fails fast. */
  readonly client: RedisClient;
  /** For messages. Others may listen on it too. */
  readonly subscriber: RedisClient;
  readonly prefix: string;
  readonly bounds?: ChunkBounds;
}

export function createRedisChunks(options: RedisChunksOptions): ChunkStore {
  const { client, subscriber, prefix, bounds = chunkBounds } = options;
  const keysOf = (key: string) => [`${prefix}:{stream:${key}}:head`, `${prefix}:{stream:${key}}:events`] as const;
  const channelOf = (key: string) => `${prefix}:chunks:${key}`;
  const run = (script: string, stream: StreamName, args: readonly (string | number)[]) =>
    client.eval(script, 2, ...keysOf(streamKey(stream)), ...args);
  const watchers = createWatchers(subscriber);
  return {
    async open(stream, attempt) {
      const [token, texts] = (await run(openStream, stream, [newToken(), attempt, bounds.lifetimeMs])) as Page;
      if (token === undefined) return null;
      // Not awaited: the writer has pieces to tell.
      if (texts?.length === 0) void hold(client, `${prefix}:streams`, streamKey(stream), bounds.streams, keysOf);
      return toPage(token, texts ?? []);
    },
    async append(stream, { token, attempt, after }, events) {
      const { eventsPerStream, bytesPerStream, lifetimeMs } = bounds;
      const place = [token, attempt, after, eventsPerStream, bytesPerStream, lifetimeMs];
      const answer = await run(appendEvents, stream, [...place, channelOf(streamKey(stream)), ...toTexts(events)]);
      return answer as AppendAnswer;
    },
    async read(stream, after) {
      const [token, texts] = (await run(readStream, stream, [after, after + pageSize - 1])) as Page;
      return token === undefined ? null : toPage(token, texts ?? []);
    },
    watch: (stream, onAppended) => watchers.add(channelOf(streamKey(stream)), onAppended),
    // Redis forgets by itself.
    forgetOld: async () => undefined,
    close: async () => watchers.close(),
  };
}

type Page = [token?: string, texts?: string[]];

/** How many streams there are is known to one key, which a Cluster holds elsewhere. Names of streams that expired go too. */
async function hold(
  client: RedisClient,
  index: string,
  key: string,
  most: number,
  keysOf: (key: string) => readonly string[],
): Promise<void> {
  try {
    await client.zadd(index, Date.now(), key);
    await client.expire(index, 86_400);
    const surplus = (await client.zcard(index)) - most;
    if (surplus <= 0) return;
    const names = (await client.zpopmin(index, Math.min(surplus, 100))).filter((_, at) => at % 2 === 0);
    for (const name of names) await client.del(...keysOf(name));
  } catch {
    // Streams expire all the same.
  }
}

/** One subscription per stream that somebody reads here. */
function createWatchers(subscriber: RedisClient): {
  add(channel: string, listener: () => void): () => void;
  close(): void;
} {
  const listeners = new Map<string, Set<() => void>>();
  const onMessage = (channel: string) => {
    for (const listener of listeners.get(channel) ?? []) listener();
  };
  subscriber.on('message', onMessage);
  const quietly = (command: Promise<unknown>) => void command.catch(() => undefined);
  return {
    add(channel, listener) {
      const known = listeners.get(channel);
      if (known) known.add(listener);
      else {
        listeners.set(channel, new Set([listener]));
        quietly(subscriber.subscribe(channel));
      }
      return () => {
        const left = listeners.get(channel);
        if (!left?.delete(listener) || left.size > 0) return;
        listeners.delete(channel);
        quietly(subscriber.unsubscribe(channel));
      };
    },
    close() {
      subscriber.off('message', onMessage);
      listeners.clear();
    },
  };
}

/**
 * KEYS 1 head (hash: token, attempt, bytes)  2 events
 * ARGV 1 token of a new stream  2 attempt  3 lifetime in ms
 * -> nothing: a later attempt has it; else its token, its events
 */
const openStream = `
local attempt = tonumber(redis.call('HGET', KEYS[1], 'attempt') or 0)
if attempt > tonumber(ARGV[2]) then return {} end
local token = redis.call('HGET', KEYS[1], 'token')
if not token then
  token = ARGV[1]
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'token', token, 'bytes', 0)
end
redis.call('HSET', KEYS[1], 'attempt', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {token, redis.call('LRANGE', KEYS[2], 0, -1)}
`;

/**
 * KEYS 1 head  2 events
 * ARGV 1 token  2 attempt  3 number of the last event the writer knows  4 most events  5 most bytes  6 lifetime in ms
 *      7 channel  8… events
 */
const appendEvents = `
local head = redis.call('HMGET', KEYS[1], 'token', 'attempt', 'bytes')
if head[1] ~= ARGV[1] or tonumber(head[2]) ~= tonumber(ARGV[2]) then return 'lost' end
local last = redis.call('LLEN', KEYS[2])
local known = last - tonumber(ARGV[3])
if known < 0 then return 'lost' end
local bytes = 0
for i = 8 + known, #ARGV do bytes = bytes + #ARGV[i] end
local count = math.max(0, #ARGV - 7 - known)
if last + count > tonumber(ARGV[4]) or tonumber(head[3]) + bytes > tonumber(ARGV[5]) then return 'full' end
for i = 8 + known, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
redis.call('HINCRBY', KEYS[1], 'bytes', bytes)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('PUBLISH', ARGV[7], '')
return 'told'
`;

/** KEYS 1 head  2 events · ARGV 1 first  2 last, from 0 -> nothing, or its token, its events */
const readStream = `
local token = redis.call('HGET', KEYS[1], 'token')
if not token then return {} end
return {token, redis.call('LRANGE', KEYS[2], ARGV[1], ARGV[2])}
`;

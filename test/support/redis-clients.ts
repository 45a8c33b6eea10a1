/** Connections to a Redis of the tests, made as the product makes them, and looks at what it holds. */
import { connectRedis, createRedisClient, type RedisClient, type RedisUse } from '@waybill/shared/redis/connect.ts';
import { parseRedisAddress, type RedisAddress } from '@waybill/shared/redis/redis-address.ts';
import { Redis } from 'ioredis';

export function redisAddress(url: string): RedisAddress {
  const parsed = parseRedisAddress(url);
  if (parsed.kind === 'fault') throw new Error(`${url}: ${parsed.why}`);
  return parsed.address;
}

export async function openRedisClient(url: string, use: RedisUse): Promise<RedisClient> {
  const address = redisAddress(url);
  const client = createRedisClient(address, use);
  await connectRedis(client, address);
  client.on('error', () => undefined);
  return client;
}

/** One server, or each master of a Cluster. */
export const mastersOf = (client: RedisClient): readonly Redis[] =>
  client instanceof Redis ? [client] : client.nodes('master');

export async function listKeys(client: RedisClient, pattern = '*'): Promise<string[]> {
  const lists = await Promise.all(mastersOf(client).map((master) => master.keys(pattern)));
  return lists.flat().sort();
}

export async function flushAll(client: RedisClient): Promise<void> {
  await Promise.all(mastersOf(client).map((master) => master.flushall()));
}

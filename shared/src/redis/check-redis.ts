/** Checks at start: a Redis that may evict keys, or is too old, is refused; one that forgets at a restart is named. */
import { Redis } from 'ioredis';
import { Problem } from '../domain/problem.ts';
import type { RedisClient } from './connect.ts';
import { describeRedis, type RedisAddress } from './redis-address.ts';

/** BullMQ's blocking commands and our scripts need 6.2. */
const oldestVersion = [6, 2] as const;

/** @returns what is worth a warning. @throws Problem `redis_unsafe` */
export async function checkRedis(client: RedisClient, address: RedisAddress): Promise<string[]> {
  const nodes = client instanceof Redis ? [client] : client.nodes('master');
  const warnings: string[] = [];
  for (const node of nodes) warnings.push(...checkInfo(parseInfo(await node.info()), describeRedis(address)));
  return [...new Set(warnings)];
}

function parseInfo(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split(/\r?\n/).flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon < 1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
    }),
  );
}

export function checkInfo(info: ReadonlyMap<string, string>, where: string): string[] {
  // Valkey calls itself Redis 7.2 for the sake of clients.
  const version = info.get('redis_version') ?? '0';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < oldestVersion[0] || (major === oldestVersion[0] && minor < oldestVersion[1]))
    throw new Problem(
      'redis_unsafe',
      `Cannot use ${where}: it is version ${version}, and ${oldestVersion.join('.')} is the oldest that works. Upgrade it`,
    );
  const policy = info.get('maxmemory_policy') ?? 'unknown';
  if (policy !== 'noeviction')
    throw new Problem(
      'redis_unsafe',
      `Cannot use ${where}: its maxmemory-policy is "${policy}", which lets it drop entries and permits when memory is short. Set it to "noeviction"`,
    );
  const warnings: string[] = [];
  if (info.get('aof_enabled') === '0')
    warnings.push(
      `${where} keeps no append-only file: after a restart its queues are filled again from the database, which takes longer. Set "appendonly yes"`,
    );
  if (info.get('role') === 'slave')
    throw new Problem('redis_unsafe', `Cannot use ${where}: it is a replica. Name the master, or its Sentinels`);
  return warnings;
}

/** Keys and scripts: what every part of coordination on Redis needs. */
import { createHash } from 'node:crypto';
import { soleAccount } from '../../config/model-settings.ts';
import { splitTarget } from '../../domain/job.ts';
import type { RedisClient } from '../../redis/connect.ts';

export type Run = (script: string, keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>;
export interface Store {
  readonly run: Run;
  /** A key of a provider. */
  key(provider: string, name: string): string;
  permitsKey(target: string, place: string): string;
  placesKey(target: string): string;
  ratesKey(target: string, account: string): string;
}

export function createStore(client: RedisClient, prefix: string): Store {
  const key = (provider: string, name: string) => `${prefix}:{${provider}}:${name}`;
  const ofModel = (target: string, name: string) => {
    const { provider, model } = splitTarget(target);
    return key(provider, `${name}:${model}`);
  };
  return {
    run: scriptRunner(client),
    key,
    // The sole account's key is that of versions without accounts: in a rolling deploy both count the same calls.
    permitsKey: (target, place) => `${ofModel(target, 'permits')}${place === soleAccount ? '' : `|${place}`}`,
    placesKey: (target) => ofModel(target, 'places'),
    ratesKey: (target, account) => `${ofModel(target, 'rates')}|${account}`,
  };
}

/** Runs by hash, and sends the text only to a server that does not know it. */
function scriptRunner(client: RedisClient): Run {
  const hashes = new Map<string, string>();
  return async (script, keys, args) => {
    let hash = hashes.get(script);
    if (hash === undefined) {
      hash = createHash('sha1').update(script).digest('hex');
      hashes.set(script, hash);
    }
    try {
      return await client.evalsha(hash, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return client.eval(script, keys.length, ...keys, ...args);
    }
  };
}

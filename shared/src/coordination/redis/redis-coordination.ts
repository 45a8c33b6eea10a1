/** Coordination on Redis: Lua scripts on keys that one provider's hash tag holds together, signals by PUBLISH. */
import { Redis } from 'ioredis';
import { splitTarget } from '../../domain/job.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { BreakerState } from '../../routing/breaker.ts';
import type { Pause } from '../../routing/pauses.ts';
import { readState, toUsual } from '../breaker-text.ts';
import {
  type Charge,
  type Coordination,
  type FleetState,
  permitLeaseMs,
  throughputSeconds,
  type UsualCalls,
} from '../coordination.ts';
import { createPermits } from '../permits.ts';
import { providerOfScope } from '../scope.ts';
import type { Signals } from '../signals.ts';
import { createBreakers } from './redis-breakers.ts';
import { createPermitStore } from './redis-permits.ts';
import { createStore, type Store } from './redis-store.ts';
import * as scripts from './scripts.ts';

export interface RedisCoordinationOptions {
  /** With the `command` policy: fails fast. */
  readonly client: RedisClient;
  /** Before every key, so that installations that share a Redis do not meet. */
  readonly prefix: string;
  readonly signals: Signals;
  /** The providers in use: whose state is read. */
  readonly providers: () => readonly string[];
  readonly onClose: () => Promise<void>;
}

export function createRedisCoordination(options: RedisCoordinationOptions): Coordination {
  const { client, prefix, signals, providers, onClose } = options;
  const store = createStore(client, prefix);
  const { key } = store;
  return {
    ...createPermits(createPermitStore(store), signals),
    ...createBreakers(store),
    ...createEpochs(store, client),
    ...createShares(store, providers),
    fleetState: () => readFleetState(store, providers()),
    async pause(scope, kind, untilMs) {
      const isNew = await store.run(
        scripts.pause,
        [key(providerOfScope(scope), 'pauses')],
        [scope, kind, Math.round(untilMs)],
      );
      return isNew === 1;
    },
    async resume(scope) {
      return (await client.hdel(key(providerOfScope(scope), 'pauses'), scope)) > 0;
    },
    async reset() {
      for (const provider of providers()) {
        for (const name of ['epoch', 'pauses', 'throughput', 'charges', 'breakers', 'outcomes', 'usual', 'retries'])
          await client.del(key(provider, name));
        for (const pattern of ['permits:*', 'places:*', 'rates:*'])
          for (const found of await findKeys(client, key(provider, pattern))) await client.del(found);
      }
    },
    publish: signals.publish,
    subscribe: signals.subscribe,
    close: onClose,
  };
}

function createEpochs(store: Store, client: RedisClient): Pick<Coordination, 'holdsEpoch' | 'restore'> {
  return {
    async holdsEpoch(provider, epoch) {
      return (await store.run(scripts.holdsEpoch, [store.key(provider, 'epoch')], [epoch])) === 1;
    },
    async restore(provider, epoch, permits, spent = []) {
      // The epoch last: until then nothing is let through.
      await client.del(store.key(provider, 'epoch'));
      for (const pattern of ['permits:*', 'rates:*'])
        for (const key of await findKeys(client, store.key(provider, pattern))) await client.del(key);
      for (const [key, list] of Map.groupBy(permits, ({ target, place }) => store.permitsKey(target, place)))
        await store.run(scripts.restorePermits, [key], [permitLeaseMs, ...list.map(({ token }) => token)]);
      for (const { target, account, limit, slots } of spent) {
        const fields = [...slots].flat();
        await store.run(scripts.restoreRates, [store.ratesKey(target, account)], [JSON.stringify(limit), ...fields]);
      }
      await store.run(scripts.writeEpoch, [store.key(provider, 'epoch')], [epoch]);
    },
  };
}

/** Looks through a whole server: for rebuilds only. */
async function findKeys(client: RedisClient, pattern: string): Promise<string[]> {
  const found = new Set<string>();
  for (const node of client instanceof Redis ? [client] : client.nodes('master')) {
    for (let cursor = '', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
      const [next, keys] = await node.scan(isFirst ? 0 : cursor, 'MATCH', pattern, 'COUNT', 1_000);
      for (const key of keys) found.add(key);
      cursor = next;
    }
  }
  return [...found];
}

function createShares(store: Store, providers: () => readonly string[]): Pick<Coordination, 'charge' | 'takeCharges'> {
  return {
    async charge({ target, tenantId, tokens }) {
      await store.run(
        addCharge,
        [store.key(splitTarget(target).provider, 'charges')],
        [`added ${target} ${tenantId}`, Math.round(tokens)],
      );
    },
    async takeCharges() {
      const all = await Promise.all(
        providers().map((provider) => store.run(scripts.takeCharges, [store.key(provider, 'charges')], [])),
      );
      return all.flatMap((flat) => pairs(flat as string[]).map(([name, tokens]) => toCharge(name, tokens)));
    },
  };
}

/** KEYS 1 charges · ARGV 1 "added target tenant"  2 tokens */
const addCharge = `redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2]); redis.call('EXPIRE', KEYS[1], 600)`;

function toCharge(name: string, tokens: string): Charge {
  const [first, last] = [name.indexOf(' '), name.lastIndexOf(' ')];
  return {
    why: name.slice(0, first) as Charge['why'],
    target: name.slice(first + 1, last),
    tenantId: name.slice(last + 1),
    tokens: Number(tokens),
  };
}

async function readFleetState(store: Store, providers: readonly string[]): Promise<FleetState> {
  const all = await Promise.all(
    providers.map((provider) =>
      store.run(
        scripts.readFleet,
        ['throughput', 'pauses', 'breakers', 'usual'].map((name) => store.key(provider, name)),
        [throughputSeconds],
      ),
    ),
  );
  const lists = all as [string[], string[], string[], string[]][];
  return {
    throughput: new Map(
      lists.flatMap(([throughput]) =>
        pairs(throughput).map(([target, ended]): [string, number] => [target, Number(ended) / throughputSeconds]),
      ),
    ),
    pauses: new Map(
      lists.flatMap(([, pauses]) => pairs(pauses).map(([scope, text]): [string, Pause] => [scope, toPause(text)])),
    ),
    breakers: new Map(
      lists.flatMap(([, , states]) =>
        pairs(states).map(([name, text]): [string, BreakerState] => [name, readState(text)]),
      ),
    ),
    usual: new Map(
      lists.flatMap(([, , , usual]) => pairs(usual).map(([name, text]): [string, UsualCalls] => [name, toUsual(text)])),
    ),
  };
}

function toPause(text: string): Pause {
  const space = text.lastIndexOf(' ');
  return { kind: text.slice(0, space), untilMs: Number(text.slice(space + 1)) };
}

const pairs = (flat: readonly string[]): [string, string][] =>
  Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index] ?? '', flat[2 * index + 1] ?? '']);

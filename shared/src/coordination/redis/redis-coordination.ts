/** Coordination on Redis: Lua scripts on keys that one provider's hash tag holds together, signals by PUBLISH. */
import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { splitTarget } from '../../domain/job.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Pause } from '../../routing/target-facts.ts';
import { collectTick } from '../../store/collect-tick.ts';
import {
  type Charge,
  type Coordination,
  type FleetState,
  type HeldPermit,
  type PermitAnswer,
  type PermitEnd,
  type PermitRequest,
  permitLeaseMs,
  throughputSeconds,
} from '../coordination.ts';
import { createHeldPermits } from '../held-permits.ts';
import { providerOfScope } from '../scope.ts';
import type { Signals } from '../signals.ts';
import * as scripts from './scripts.ts';

const maxGroup = 100;
const maxCalls = 2;

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

type Run = (script: string, keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>;
interface Store {
  readonly run: Run;
  /** A key of a provider. */
  key(provider: string, name: string): string;
  permitsKey(target: string): string;
}

export function createRedisCoordination(options: RedisCoordinationOptions): Coordination {
  const { client, prefix, signals, providers, onClose } = options;
  const key = (provider: string, name: string) => `${prefix}:{${provider}}:${name}`;
  const store: Store = {
    run: scriptRunner(client),
    key,
    permitsKey: (target) => key(splitTarget(target).provider, `permits:${splitTarget(target).model}`),
  };
  return {
    ...createPermits(store, signals),
    ...createEpochs(store, client),
    ...createShares(store, providers),
    fleetState: () => readFleetState(store, providers()),
    async pause(scope, kind, untilMs) {
      await store.run(scripts.pause, [key(providerOfScope(scope), 'pauses')], [scope, kind, Math.round(untilMs)]);
    },
    async reset() {
      for (const provider of providers())
        for (const name of ['epoch', 'pauses', 'throughput', 'charges']) await client.del(key(provider, name));
    },
    publish: signals.publish,
    subscribe: signals.subscribe,
    close: onClose,
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

type Permits = Pick<Coordination, 'takePermit' | 'givePermitBack' | 'settlePermit' | 'renewPermits' | 'dropPermits'>;

function createPermits(store: Store, signals: Signals): Permits {
  const held = createHeldPermits();
  const freed = (target: string) => signals.publish({ type: 'permit_freed', target });
  const groups = { maxItems: maxGroup, maxInFlight: maxCalls };
  const take = byTarget((target) =>
    collectTick((requests: readonly PermitRequest[]) => takePermits(store, target, requests), groups),
  );
  const settle = byTarget((target) =>
    collectTick(async (ends: readonly PermitEnd[]) => {
      if (await settlePermits(store, target, ends)) freed(target);
      return ends;
    }, groups),
  );
  return {
    async takePermit(request) {
      const answer = await take(request.target)(request);
      if (answer.kind === 'go') held.add(request);
      return answer;
    },
    async givePermitBack(permit) {
      held.remove(permit);
      await store.run(releaseOne, [store.permitsKey(permit.target)], [permit.token]);
      freed(permit.target);
    },
    async settlePermit(end) {
      held.remove(end);
      await settle(end.target)(end);
    },
    async renewPermits() {
      for (const permits of held.byProvider().values()) await renewPermits(store, permits);
    },
    dropPermits: () => held.clear(),
  };
}

/** KEYS 1 permits of the target · ARGV 1 token */
const releaseOne = `redis.call('ZREM', KEYS[1], ARGV[1])`;

function byTarget<Collector>(make: (target: string) => Collector): (target: string) => Collector {
  const made = new Map<string, Collector>();
  return (target) => {
    const known = made.get(target) ?? make(target);
    made.set(target, known);
    return known;
  };
}

async function takePermits(store: Store, target: string, requests: readonly PermitRequest[]): Promise<PermitAnswer[]> {
  // Of requests that differ, because a configuration or an epoch has just changed, the stricter one holds for all.
  const limit = Math.min(...requests.map(({ limits }) => limits.concurrency));
  const epoch = requests.every((request) => request.epoch === requests[0]?.epoch) ? (requests[0]?.epoch ?? '') : '';
  const taken = Number(
    await store.run(
      scripts.takePermits,
      [store.key(splitTarget(target).provider, 'epoch'), store.permitsKey(target)],
      [epoch, limit, permitLeaseMs, ...requests.map(({ token }) => token)],
    ),
  );
  return requests.map((_, index) =>
    taken < 0
      ? { kind: 'epoch_lost' }
      : index < taken
        ? { kind: 'go' }
        : { kind: 'wait', reason: 'concurrency', retryAfterMs: null },
  );
}

async function settlePermits(store: Store, target: string, ends: readonly PermitEnd[]): Promise<boolean> {
  const { provider } = splitTarget(target);
  const full = await store.run(
    scripts.settlePermits,
    [store.permitsKey(target), store.key(provider, 'throughput'), store.key(provider, 'charges')],
    [
      target,
      Math.min(...ends.map(({ limits }) => limits.concurrency)),
      ends.length,
      ...ends.flatMap(({ token, tenantId, estimated, used }) => [
        token,
        tenantId,
        Math.round(estimated),
        Math.round(used),
      ]),
    ],
  );
  return full === 1;
}

async function renewPermits(store: Store, permits: readonly HeldPermit[]): Promise<void> {
  const groups = [...Map.groupBy(permits, ({ target }) => target)];
  await store.run(
    scripts.renewPermits,
    groups.map(([target]) => store.permitsKey(target)),
    [permitLeaseMs, ...groups.flatMap(([, list]) => [list.length, ...list.map(({ token }) => token)])],
  );
}

function createEpochs(store: Store, client: RedisClient): Pick<Coordination, 'holdsEpoch' | 'restore'> {
  return {
    async holdsEpoch(provider, epoch) {
      return (await store.run(scripts.holdsEpoch, [store.key(provider, 'epoch')], [epoch])) === 1;
    },
    async restore(provider, epoch, permits) {
      for (const key of await findKeys(client, store.key(provider, 'permits:*'))) await client.del(key);
      for (const [target, list] of Map.groupBy(permits, (permit) => permit.target))
        await store.run(
          scripts.restorePermits,
          [store.permitsKey(target)],
          [permitLeaseMs, ...list.map(({ token }) => token)],
        );
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
        [store.key(provider, 'throughput'), store.key(provider, 'pauses')],
        [throughputSeconds],
      ),
    ),
  );
  const lists = all as [string[], string[]][];
  return {
    throughput: new Map(
      lists.flatMap(([throughput]) =>
        pairs(throughput).map(([target, ended]): [string, number] => [target, Number(ended) / throughputSeconds]),
      ),
    ),
    pauses: new Map(
      lists.flatMap(([, pauses]) => pairs(pauses).map(([scope, text]): [string, Pause] => [scope, toPause(text)])),
    ),
  };
}

function toPause(text: string): Pause {
  const space = text.lastIndexOf(' ');
  return { kind: text.slice(0, space), untilMs: Number(text.slice(space + 1)) };
}

const pairs = (flat: readonly string[]): [string, string][] =>
  Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index] ?? '', flat[2 * index + 1] ?? '']);

/** Coordination on Redis: Lua scripts on keys that one provider's hash tag holds together, signals by PUBLISH. */
import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { soleAccount } from '../../config/model-settings.ts';
import { splitTarget } from '../../domain/job.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Pause } from '../../routing/pauses.ts';
import { collectTick } from '../../store/collect-tick.ts';
import {
  type Charge,
  type Coordination,
  congestedFactor,
  type FleetState,
  type HeldPermit,
  type PermitAnswer,
  type PermitEnd,
  type PermitRequest,
  permitLeaseMs,
  throughputSeconds,
} from '../coordination.ts';
import { createHeldPermits } from '../held-permits.ts';
import { permitGroup, placesOfEnds, toPermitAnswers } from '../permit-groups.ts';
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
  permitsKey(target: string, place: string): string;
  placesKey(target: string): string;
}

export function createRedisCoordination(options: RedisCoordinationOptions): Coordination {
  const { client, prefix, signals, providers, onClose } = options;
  const key = (provider: string, name: string) => `${prefix}:{${provider}}:${name}`;
  const store: Store = {
    run: scriptRunner(client),
    key,
    // The sole account's key is that of versions without accounts: in a rolling deploy both count the same calls.
    permitsKey: (target, place) =>
      key(
        splitTarget(target).provider,
        `permits:${splitTarget(target).model}${place === soleAccount ? '' : `|${place}`}`,
      ),
    placesKey: (target) => key(splitTarget(target).provider, `places:${splitTarget(target).model}`),
  };
  return {
    ...createPermits(store, signals),
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
        for (const name of ['epoch', 'pauses', 'throughput', 'charges']) await client.del(key(provider, name));
        for (const found of await findKeys(client, key(provider, 'places:*'))) await client.del(found);
      }
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
  const take = byKey(() => collectTick((requests: readonly PermitRequest[]) => takePermits(store, requests), groups));
  const settle = byKey((target) =>
    collectTick(async (ends: readonly PermitEnd[]) => {
      if (await settlePermits(store, target, ends)) freed(target);
      return ends;
    }, groups),
  );
  return {
    async takePermit(request) {
      const answer = await take(permitGroup(request))(request);
      if (answer.kind === 'go') held.add({ ...request, place: answer.place });
      return answer;
    },
    async givePermitBack(permit) {
      held.remove(permit);
      await store.run(releaseOne, [store.permitsKey(permit.target, permit.place)], [permit.token]);
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

/** KEYS 1 permits of the place · ARGV 1 token */
const releaseOne = `redis.call('ZREM', KEYS[1], ARGV[1])`;

function byKey<Collector>(make: (key: string) => Collector): (key: string) => Collector {
  const made = new Map<string, Collector>();
  return (key) => {
    const known = made.get(key) ?? make(key);
    made.set(key, known);
    return known;
  };
}

async function takePermits(store: Store, requests: readonly PermitRequest[]): Promise<PermitAnswer[]> {
  const [first] = requests;
  if (!first) return [];
  const { target, places } = first;
  const answer = (await store.run(
    scripts.takePermits,
    [
      store.key(splitTarget(target).provider, 'epoch'),
      store.placesKey(target),
      ...places.map(({ id }) => store.permitsKey(target, id)),
    ],
    [
      first.epoch,
      permitLeaseMs,
      places.length,
      ...places.flatMap(({ id, concurrency }) => [id, concurrency]),
      ...requests.map(({ token }) => token),
    ],
  )) as number[];
  return toPermitAnswers(answer, first.places, requests.length);
}

async function settlePermits(store: Store, target: string, ends: readonly PermitEnd[]): Promise<boolean> {
  const { provider } = splitTarget(target);
  const places = placesOfEnds(ends);
  const full = await store.run(
    scripts.settlePermits,
    [
      store.key(provider, 'throughput'),
      store.placesKey(target),
      store.key(provider, 'charges'),
      ...places.map(({ id }) => store.permitsKey(target, id)),
    ],
    [
      target,
      congestedFactor,
      places.length,
      ...places.flatMap(({ id, concurrency }) => [id, concurrency]),
      ...ends.flatMap((end) => [
        end.token,
        places.findIndex(({ id }) => id === end.place) + 1,
        end.pressure,
        Math.round(end.heldMs),
        Math.round(end.restMs),
        end.tenantId,
        Math.round(end.estimated),
        Math.round(end.used),
      ]),
    ],
  );
  return full === 1;
}

async function renewPermits(store: Store, permits: readonly HeldPermit[]): Promise<void> {
  const groups = [...Map.groupBy(permits, ({ target, place }) => store.permitsKey(target, place))];
  await store.run(
    scripts.renewPermits,
    groups.map(([key]) => key),
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
      for (const [key, list] of Map.groupBy(permits, ({ target, place }) => store.permitsKey(target, place)))
        await store.run(scripts.restorePermits, [key], [permitLeaseMs, ...list.map(({ token }) => token)]);
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

/** Permits on Redis: taken and settled for many calls in one script. */
import { accountOfPlace } from '../../config/model-settings.ts';
import { splitTarget } from '../../domain/job.ts';
import { toReading } from '../breaker-text.ts';
import {
  type BreakerReading,
  congestedFactor,
  type HeldPermit,
  type PermitAnswer,
  type PermitEnd,
  type PermitRequest,
  permitLeaseMs,
  retryBudget,
  type UnusedPermit,
} from '../coordination.ts';
import { accountsOf, flatRates, placesOfEnds, toPermitAnswers } from '../permit-groups.ts';
import type { PermitStore } from '../permits.ts';
import type { Store } from './redis-store.ts';
import * as scripts from './scripts.ts';
import { settlePermits as settleScript } from './settle-permits.ts';
import { takePermits as takeScript } from './take-permits.ts';

export const createPermitStore = (store: Store): PermitStore => ({
  take: (requests) => takePermits(store, requests),
  settle: (ends) => settlePermits(store, ends),
  giveBack: (permit) => givePermitBack(store, permit),
  async renew(byProvider) {
    // Each for itself: in a Cluster one provider's node may be down, and the permits of others must not expire for it.
    const ends = await Promise.allSettled(
      [...byProvider].map(([provider, permits]) => renewPermits(store, provider, permits)),
    );
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
  },
});

async function takePermits(store: Store, requests: readonly PermitRequest[]): Promise<PermitAnswer[]> {
  const [first] = requests;
  if (!first) return [];
  const { target, places } = first;
  const { provider } = splitTarget(target);
  const limits = first.rates?.limits ?? [];
  const accounts = limits.length === 0 ? [] : accountsOf(places);
  const spec = {
    places: places.map(({ id, concurrency }) => ({
      id,
      concurrency,
      account: accounts.indexOf(accountOfPlace(id)) + 1,
    })),
    limits,
  };
  const answer = await store.run(
    takeScript,
    [
      store.key(provider, 'epoch'),
      store.placesKey(target),
      store.key(provider, 'breakers'),
      ...places.map(({ id }) => store.permitsKey(target, id)),
      ...accounts.map((account) => store.ratesKey(target, account)),
    ],
    [
      first.epoch,
      permitLeaseMs,
      target,
      JSON.stringify(spec),
      ...requests.flatMap(({ token, rates }) => [
        token,
        rates?.jobId ?? '',
        Math.ceil(rates?.size.inputTokens ?? 0),
        Math.ceil(rates?.size.outputTokens ?? 0),
      ]),
    ],
  );
  return toPermitAnswers(answer as number[][], places, requests.length);
}

async function settlePermits(
  store: Store,
  ends: readonly PermitEnd[],
): Promise<{ isFull: boolean; reading: BreakerReading | null }> {
  const [first] = ends;
  if (!first) return { isFull: false, reading: null };
  const { target } = first;
  const { provider } = splitTarget(target);
  const places = placesOfEnds(ends);
  const limits = first.rates?.limits ?? [];
  const accounts = limits.length === 0 ? [] : accountsOf(places);
  const spec = {
    factor: congestedFactor,
    places,
    limits,
    windowMs: first.breakerWindowMs,
    isLatencyWatched: first.isLatencyWatched,
    retriesPerCall: retryBudget.perCall,
    mostRetries: retryBudget.most,
    calls: ends.map((end) => ({
      token: end.token,
      place: places.findIndex(({ id }) => id === end.place) + 1,
      pressure: end.pressure,
      heldMs: Math.round(end.heldMs),
      restMs: Math.round(end.restMs),
      tenant: end.tenantId,
      estimated: Math.round(end.estimated),
      used: Math.round(end.used),
      outcome: end.outcome,
      isProbe: end.isProbe,
      ...(end.rates === undefined || limits.length === 0
        ? {}
        : { account: accounts.indexOf(accountOfPlace(end.place)) + 1, ...flatRates(end.rates) }),
    })),
  };
  const answer = (await store.run(
    settleScript,
    [
      store.key(provider, 'throughput'),
      store.placesKey(target),
      store.key(provider, 'charges'),
      store.key(provider, 'breakers'),
      store.key(provider, 'outcomes'),
      store.key(provider, 'usual'),
      store.key(provider, 'retries'),
      ...places.map(({ id }) => store.permitsKey(target, id)),
      ...accounts.map((account) => store.ratesKey(target, account)),
    ],
    [target, JSON.stringify(spec)],
  )) as [number, ...string[]];
  const [full, ...reading] = answer;
  return { isFull: full === 1, reading: reading.length === 0 ? null : toReading(target, reading) };
}

async function givePermitBack(store: Store, permit: UnusedPermit): Promise<void> {
  const { token, target, place, reservation, isProbe } = permit;
  await store.run(
    scripts.givePermitBack,
    [
      store.permitsKey(target, place),
      store.key(splitTarget(target).provider, 'breakers'),
      ...(reservation === undefined ? [] : [store.ratesKey(target, accountOfPlace(place))]),
    ],
    [
      token,
      target,
      isProbe ? 1 : 0,
      JSON.stringify(reservation?.limits ?? []),
      reservation?.atMs ?? 0,
      Math.ceil(reservation?.size.inputTokens ?? 0),
      Math.ceil(reservation?.size.outputTokens ?? 0),
    ],
  );
}

async function renewPermits(store: Store, provider: string, permits: readonly HeldPermit[]): Promise<void> {
  const byPlace = [...Map.groupBy(permits, ({ target, place }) => store.permitsKey(target, place))];
  await store.run(
    scripts.renewPermits,
    byPlace.map(([key]) => key),
    [permitLeaseMs, ...byPlace.flatMap(([, list]) => [list.length, ...list.map(({ token }) => token)])],
  );
  const probes = permits.filter(({ isProbe }) => isProbe);
  if (probes.length === 0) return;
  await store.run(
    scripts.renewProbes,
    [store.key(provider, 'breakers')],
    [permitLeaseMs, ...probes.flatMap(({ target, token }) => [target, token])],
  );
}

/** Permits in SQL: taken and settled for many calls in one statement. */
import { accountOfPlace } from '../../config/model-settings.ts';
import type { Pool } from '../../store/database.ts';
import { toReading } from '../breaker-text.ts';
import {
  type BreakerReading,
  congestedFactor,
  type PermitAnswer,
  type PermitEnd,
  type PermitRequest,
  permitLeaseMs,
  retryBudget,
  type UnusedPermit,
} from '../coordination.ts';
import { accountsOf, flatRates, toPermitAnswers } from '../permit-groups.ts';
import type { PermitStore } from '../permits.ts';

export const createPermitStore = (pool: Pool): PermitStore => ({
  take: (requests) => takePermits(pool, requests),
  settle: (ends) => settlePermits(pool, ends),
  giveBack: (permit) => givePermitBack(pool, permit),
  async renew(byProvider) {
    const all = [...byProvider.values()].flat();
    if (all.length === 0) return;
    await renew(pool, 'coordination.permits', 'expires_at', 'token', all);
    const probes = all.filter(({ isProbe }) => isProbe);
    if (probes.length > 0) await renew(pool, 'coordination.breakers', 'probe_until', 'probe_token', probes);
  },
});

async function givePermitBack(pool: Pool, { token, target, place, reservation }: UnusedPermit): Promise<void> {
  await pool.query('select coordination.give_back($1, $2, $3, $4::jsonb, $5, $6, $7)', [
    token,
    target,
    accountOfPlace(place),
    JSON.stringify(reservation?.limits ?? []),
    reservation?.atMs ?? 0,
    Math.ceil(reservation?.size.inputTokens ?? 0),
    Math.ceil(reservation?.size.outputTokens ?? 0),
  ]);
}

async function renew(
  pool: Pool,
  table: string,
  until: string,
  token: string,
  permits: readonly { readonly token: string }[],
): Promise<void> {
  await pool.query(
    // In the order of all who lock several.
    `update ${table} set ${until} = clock_timestamp() + make_interval(secs => $2)
       where ${token} in (select ${token} from ${table} where ${token} = any($1) order by ${token} for update)`,
    [permits.map((permit) => permit.token), permitLeaseMs / 1_000],
  );
}

async function takePermits(pool: Pool, requests: readonly PermitRequest[]): Promise<PermitAnswer[]> {
  const [first] = requests;
  if (!first) return [];
  const { target, places } = first;
  const accounts = accountsOf(places);
  const { rows } = await pool.query(
    'select coordination.take($1, $2, $3::jsonb, $4::text[], $5::jsonb, $6, $7::jsonb) as taken',
    [
      first.epoch,
      target,
      JSON.stringify(
        places.map(({ id, concurrency }) => ({ id, concurrency, account: accounts.indexOf(accountOfPlace(id)) + 1 })),
      ),
      accounts,
      JSON.stringify(first.rates?.limits ?? []),
      permitLeaseMs,
      JSON.stringify(
        requests.map(({ token, rates }) => ({
          token,
          job: rates?.jobId ?? '',
          input: Math.ceil(rates?.size.inputTokens ?? 0),
          output: Math.ceil(rates?.size.outputTokens ?? 0),
        })),
      ),
    ],
  );
  return toPermitAnswers(rows[0]?.taken as number[][], places, requests.length);
}

async function settlePermits(
  pool: Pool,
  ends: readonly PermitEnd[],
): Promise<{ isFull: boolean; reading: BreakerReading | null }> {
  const [first] = ends;
  if (!first) return { isFull: false, reading: null };
  const spec = {
    factor: congestedFactor,
    limits: first.rates?.limits ?? [],
    windowMs: first.breakerWindowMs,
    isLatencyWatched: first.isLatencyWatched,
    retriesPerCall: retryBudget.perCall,
    mostRetries: retryBudget.most,
  };
  const calls = ends.map((end) => ({
    token: end.token,
    place: end.place,
    concurrency: end.concurrency,
    pressure: end.pressure,
    heldMs: Math.round(end.heldMs),
    restMs: Math.round(end.restMs),
    tenant: end.tenantId,
    estimated: Math.round(end.estimated),
    used: Math.round(end.used),
    outcome: end.outcome,
    isProbe: end.isProbe,
    ...(end.rates === undefined || spec.limits.length === 0
      ? {}
      : { account: accountOfPlace(end.place), ...flatRates(end.rates) }),
  }));
  const { rows } = await pool.query('select coordination.settle($1, $2::jsonb, $3::jsonb) as ended', [
    first.target,
    JSON.stringify(spec),
    JSON.stringify(calls),
  ]);
  const [full, ...reading] = (rows[0]?.ended ?? [0]) as [number, ...string[]];
  return { isFull: full === 1, reading: reading.length === 0 ? null : toReading(first.target, reading) };
}

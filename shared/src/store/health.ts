/** Health of providers' addresses: one row each, changed by whoever saw something, one after the other. */
import type { Selectable } from 'kysely';
import { z } from 'zod';
import { cleanText } from '../domain/clean-text.ts';
import {
  type Health,
  type HealthChange,
  type HealthPolicy,
  type Observation,
  observe,
  unknownHealth,
} from '../routing/health.ts';
import type { Database } from './database.ts';
import { noteEvent, type SystemEvent } from './events.ts';
import type { HealthTable } from './tables.ts';

export interface EndpointName {
  readonly provider: string;
  /** Counted from 1, as the configuration lists them. */
  readonly endpoint: number;
}

const maxFacts = 64 * 1_024;

/**
 * Adds what was seen. A change is an event, noted with it or not at all, and is told to the one caller that made it.
 *
 * @param address for whoever reads the event
 */
export function noteObservations(
  database: Database,
  { provider, endpoint }: EndpointName,
  observations: readonly Observation[],
  policy: HealthPolicy,
  facts: string | null = null,
  address: string | null = null,
): Promise<{ readonly health: Health; readonly change: HealthChange }> {
  return database.transaction(async (trx) => {
    await trx
      .insertInto('waybill.provider_health')
      .values({ provider, endpoint, status: 'unknown', checked_at: null, last_failure: null, facts: null })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const row = await trx
      .selectFrom('waybill.provider_health')
      .selectAll()
      .where('provider', '=', provider)
      .where('endpoint', '=', endpoint)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const next = observe(toHealth(row), observations, policy);
    await trx
      .updateTable('waybill.provider_health')
      .set({ ...toColumns(next.health), ...(facts === null || facts.length > maxFacts ? {} : { facts }) })
      .where('provider', '=', provider)
      .where('endpoint', '=', endpoint)
      .execute();
    const event = eventOf({ provider, endpoint }, next.health, next.change, address);
    if (event !== null) await noteEvent({ kysely: trx }, event);
    return next;
  });
}

function eventOf(
  { provider, endpoint }: EndpointName,
  health: Health,
  change: HealthChange,
  address: string | null,
): SystemEvent | null {
  if (change === null) return null;
  const type = change === 'unhealthy' ? 'provider.unhealthy' : 'provider.recovered';
  return {
    id: `${type} ${provider} ${endpoint} ${health.changedAtMs}`,
    type,
    data: {
      provider,
      endpoint,
      address,
      last_failure: change === 'unhealthy' ? health.lastFailure : null,
      consecutive_failures: health.consecutiveFailures,
    },
  };
}

export interface KnownHealth extends EndpointName {
  readonly health: Health;
  /** JSON text; null: nothing was said. */
  readonly facts: string | null;
}

export async function readHealth({ kysely }: Database): Promise<KnownHealth[]> {
  const rows = await kysely
    .selectFrom('waybill.provider_health')
    .selectAll()
    .orderBy('provider')
    .orderBy('endpoint')
    .execute();
  return rows.map((row) => ({
    provider: row.provider,
    endpoint: row.endpoint,
    health: toHealth(row),
    facts: row.facts,
  }));
}

const toHealth = (row: Selectable<HealthTable>): Health => ({
  ...unknownHealth(row.changed_at.getTime()),
  status: row.status,
  checkedAtMs: row.checked_at?.getTime() ?? null,
  consecutiveFailures: row.consecutive_failures,
  consecutiveSuccesses: row.consecutive_successes,
  calls: row.calls,
  healthyS: row.healthy_s,
  watchedS: row.watched_s,
  lastFailure: row.last_failure,
});

const toColumns = (health: Health) => ({
  status: health.status,
  changed_at: new Date(health.changedAtMs),
  checked_at: health.checkedAtMs === null ? null : new Date(health.checkedAtMs),
  consecutive_failures: health.consecutiveFailures,
  consecutive_successes: health.consecutiveSuccesses,
  calls: [...health.calls],
  healthy_s: health.healthyS,
  watched_s: health.watchedS,
  last_failure: health.lastFailure === null ? null : cleanText(health.lastFailure, 200),
});

const factsSchema = z.object({
  models: z.array(z.object({ id: z.string(), context_window: z.int().positive().nullable() })),
});

/** By target, the smallest of its addresses. A model that is listed with `:latest` can be named without. */
export async function readServerWindows({ kysely }: Database): Promise<ReadonlyMap<string, number>> {
  const rows = await kysely
    .selectFrom('waybill.provider_health')
    .select(['provider', 'facts'])
    .where('facts', 'is not', null)
    .execute();
  const windows = new Map<string, number>();
  for (const { provider, facts } of rows) {
    for (const { id, context_window: window } of modelsOf(facts)) {
      if (window === null) continue;
      for (const name of new Set([id, id.replace(/:latest$/, '')])) {
        const target = `${provider}/${name}`;
        windows.set(target, Math.min(window, windows.get(target) ?? window));
      }
    }
  }
  return windows;
}

/** What cannot be read says nothing: the fleet reads this together with its pauses. */
function modelsOf(facts: string | null): z.infer<typeof factsSchema>['models'] {
  try {
    return factsSchema.safeParse(JSON.parse(facts ?? '{}')).data?.models ?? [];
  } catch {
    return [];
  }
}

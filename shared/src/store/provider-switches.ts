/** Providers that an operator has switched on or off while the processes run; it wins over the configuration. */
import type { Database } from './database.ts';

export async function readSwitches({ kysely }: Database): Promise<ReadonlyMap<string, boolean>> {
  const rows = await kysely.selectFrom('waybill.provider_switches').select(['provider', 'is_enabled']).execute();
  return new Map(rows.map((row) => [row.provider, row.is_enabled]));
}

/** @param isEnabled null: as configured again */
export async function switchProvider(
  { kysely }: Database,
  provider: string,
  isEnabled: boolean | null,
  by: string,
): Promise<void> {
  if (isEnabled === null) {
    await kysely.deleteFrom('waybill.provider_switches').where('provider', '=', provider).execute();
    return;
  }
  const values = { is_enabled: isEnabled, changed_by: by, changed_at: new Date() };
  await kysely
    .insertInto('waybill.provider_switches')
    .values({ provider, ...values })
    .onConflict((conflict) => conflict.column('provider').doUpdateSet(values))
    .execute();
}

/** Provider credentials that were given to the server; sealed under the master key, by name. */
import type { Sealer } from '../security/seal.ts';
import { Secret } from '../security/secret.ts';
import type { Database } from './database.ts';

const contextOf = (name: string): string => `credential ${name}`;

/** One that does not open (another master key) is left out. */
export async function readCredentials({ kysely }: Database, sealer: Sealer): Promise<ReadonlyMap<string, Secret>> {
  const rows = await kysely.selectFrom('waybill.credentials').select(['name', 'sealed']).execute();
  return new Map(
    rows.flatMap(({ name, sealed }): [string, Secret][] => {
      try {
        return [[name, new Secret(sealer.open(sealed, contextOf(name)))]];
      } catch {
        return [];
      }
    }),
  );
}

export async function listCredentials({ kysely }: Database): Promise<{ name: string; updatedAt: Date }[]> {
  const rows = await kysely.selectFrom('waybill.credentials').select(['name', 'updated_at']).orderBy('name').execute();
  return rows.map((row) => ({ name: row.name, updatedAt: row.updated_at }));
}

export async function storeCredential(
  { kysely }: Database,
  sealer: Sealer,
  name: string,
  secret: Secret,
): Promise<void> {
  const values = { sealed: sealer.seal(secret.reveal(), contextOf(name)), updated_at: new Date() };
  await kysely
    .insertInto('waybill.credentials')
    .values({ name, ...values })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(values))
    .execute();
}

/** False: there was none of that name. */
export async function removeCredential({ kysely }: Database, name: string): Promise<boolean> {
  const { numDeletedRows } = await kysely.deleteFrom('waybill.credentials').where('name', '=', name).executeTakeFirst();
  return numDeletedRows > 0n;
}

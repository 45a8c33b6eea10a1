/** Facts about this installation, kept for as long as its database lives. */
import { createHmac, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { Problem } from '../domain/problem.ts';
import type { Database } from './database.ts';

/** The value kept under the name; `fresh` when there was none. */
async function rememberFact(database: Database, name: string, fresh: string): Promise<string> {
  const { rows } = await sql<{ value: string }>`
    insert into waybill.server_facts (name, value) values (${name}, ${fresh})
    on conflict (name) do update set value = waybill.server_facts.value returning value`.execute(database.kysely);
  return rows[0]?.value ?? fresh;
}

/** Names this installation, so that two that share a Redis do not meet. */
export const installationId = (database: Database): Promise<string> =>
  rememberFact(database, 'installation', randomBytes(4).toString('hex'));

/** All processes of one database seal with one key. @throws Problem `master_key_mismatch` */
export async function checkMasterKey(database: Database, masterKey: Uint8Array): Promise<void> {
  const mark = createHmac('sha256', masterKey).update('waybill master key').digest('hex');
  if ((await rememberFact(database, 'master_key_mark', mark)) === mark) return;
  throw new Problem(
    'master_key_mismatch',
    'Cannot use this database: what it holds was sealed with another master key. Set WAYBILL_MASTER_KEY to the one of the first start',
  );
}

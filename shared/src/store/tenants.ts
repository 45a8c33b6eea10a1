/** Tenants and their API keys. */
import { randomBytes } from 'node:crypto';
import type { Selectable } from 'kysely';
import { createApiKey, hashesEqual, parseApiKey } from '../security/api-key.ts';
import type { Sealer } from '../security/seal.ts';
import type { Database } from './database.ts';
import type { Tables } from './tables.ts';

export const defaultTenantId = 'ten_default';
export const scopes = ['jobs:write', 'jobs:read', 'webhooks:read', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** 48 bytes: no padding in base64, which some verifiers stumble over. */
const webhookSecretBytes = 48;
const sealContext = (tenantId: string): string => `tenant:${tenantId}:default_webhook_secret`;

/** Makes the tenant, and its default webhook secret with it; an existing one stays as it is. */
export async function ensureTenant(database: Database, sealer: Sealer, id: string, name: string): Promise<void> {
  const secret = `whsec_${randomBytes(webhookSecretBytes).toString('base64')}`;
  await database.kysely
    .insertInto('waybill.tenants')
    .values({ id, name, default_webhook_secret: sealer.seal(secret, sealContext(id)) })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
}

/** Makes the tenants that the configuration names, and gives each its weight. @param tenants by name */
export async function ensureConfiguredTenants(
  database: Database,
  sealer: Sealer,
  tenants: Readonly<Record<string, { readonly weight: number }>>,
): Promise<void> {
  for (const [name, { weight }] of Object.entries(tenants)) {
    const id = `ten_${name}`;
    await ensureTenant(database, sealer, id, name);
    await database.kysely
      .updateTable('waybill.tenants')
      .set({ weight })
      .where('id', '=', id)
      .where('weight', '<>', weight)
      .execute();
  }
}

/** The secret every webhook to an ad-hoc address of the tenant is signed with, as `whsec_…`. */
export async function webhookSecretOf(database: Database, sealer: Sealer, tenantId: string): Promise<string> {
  const row = await database.kysely
    .selectFrom('waybill.tenants')
    .select('default_webhook_secret')
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow();
  return sealer.open(row.default_webhook_secret, sealContext(tenantId));
}

export interface Caller {
  readonly tenantId: string;
  readonly keyId: string;
  readonly scopes: readonly string[];
}

export type Authentication =
  | { readonly kind: 'ok'; readonly caller: Caller }
  | { readonly kind: 'invalid' | 'revoked' | 'expired' };

/** The text is returned once; only its hash is kept. */
export async function addApiKey(
  database: Database,
  key: { tenantId: string; name: string; scopes: readonly Scope[]; expiresAt?: Date },
): Promise<{ id: string; text: string }> {
  const made = createApiKey();
  await database.kysely
    .insertInto('waybill.api_keys')
    .values({
      id: made.id,
      tenant_id: key.tenantId,
      name: key.name,
      hash: made.hash,
      scopes: [...key.scopes],
      expires_at: key.expiresAt ?? null,
    })
    .execute();
  return { id: made.id, text: made.text };
}

export async function authenticate(database: Database, text: string, now: Date): Promise<Authentication> {
  const parsed = parseApiKey(text);
  if (!parsed) return { kind: 'invalid' };
  const row: Selectable<Tables['waybill.api_keys']> | undefined = await database.kysely
    .selectFrom('waybill.api_keys')
    .selectAll()
    .where('id', '=', parsed.id)
    .executeTakeFirst();
  // The same comparison runs whether or not the row exists.
  const isEqual = hashesEqual(row?.hash ?? Buffer.alloc(parsed.hash.length), parsed.hash);
  if (!row || !isEqual) return { kind: 'invalid' };
  if (row.revoked_at) return { kind: 'revoked' };
  if (row.expires_at && row.expires_at <= now) return { kind: 'expired' };
  return { kind: 'ok', caller: { tenantId: row.tenant_id, keyId: row.id, scopes: row.scopes } };
}

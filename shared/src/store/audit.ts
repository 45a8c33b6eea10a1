/** The audit: what somebody must be able to prove later. Read oldest first, in the order it was written. */
import { cleanText } from '../domain/clean-text.ts';
import type { Database } from './database.ts';

export interface AuditEntry {
  /** Who did it: an API key's id, or `waybill`. */
  readonly actor: string;
  readonly action: string;
  readonly tenantId: string | null;
  readonly jobId: string | null;
  /** Kinds and names only, never contents. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export async function audit(
  { kysely }: { readonly kysely: Database['kysely'] },
  entries: readonly AuditEntry[],
): Promise<void> {
  if (entries.length === 0) return;
  await kysely
    .insertInto('waybill.audit')
    .values(
      entries.map(({ actor, action, tenantId, jobId, detail }) => ({
        actor,
        action,
        tenant_id: tenantId,
        job_id: jobId,
        detail: cleanText(JSON.stringify(detail), 4_000),
      })),
    )
    .execute();
}

export interface AuditFilter {
  /** The number of the last one seen. */
  readonly after: number;
  readonly jobId: string | null;
  readonly limit: number;
}

export interface AuditedAct {
  /** Rises with every entry. */
  readonly ord: number;
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  readonly tenantId: string | null;
  readonly jobId: string | null;
  readonly detail: unknown;
}

export async function readAudit(
  { kysely }: Database,
  { after, jobId, limit }: AuditFilter,
): Promise<readonly AuditedAct[]> {
  let query = kysely.selectFrom('waybill.audit').selectAll().where('id', '>', `${after}`);
  if (jobId !== null) query = query.where('job_id', '=', jobId);
  const rows = await query.orderBy('id').limit(limit).execute();
  return rows.map((row) => ({
    ord: Number(row.id),
    at: row.at,
    actor: row.actor,
    action: row.action,
    tenantId: row.tenant_id,
    jobId: row.job_id,
    detail: detailOf(row.detail),
  }));
}

/** What was too long was cut off, and is shown as the text that is left. */
function detailOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

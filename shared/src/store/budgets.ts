/** Budgets as the database counts them. */
import type { BudgetRule } from '../routing/budgets.ts';
import type { Database } from './database.ts';

/** Nano-USD that were spent in the window; what is only reserved is not spent. */
export async function readSpent({ pool }: Database, key: string, startsAt: Date): Promise<bigint> {
  const { rows } = await pool.query(
    'select committed_nano from waybill.budget_windows where key = $1 and starts_at = $2',
    [key, startsAt],
  );
  return BigInt((rows[0]?.committed_nano as string | undefined) ?? 0);
}

export interface BudgetWindow {
  /** Whom it counts, under the name of its rule. */
  readonly key: string;
  readonly rule: BudgetRule;
  /** Of users and metadata, which are told apart by tenant; else null. */
  readonly tenantId: string | null;
  /** A name as `only` lists it. */
  readonly subject: string;
  readonly startsAt: Date;
  readonly committedNano: bigint;
  readonly reservedNano: bigint;
  /** Ended calls whose cost nobody knows, and what was reserved for them: part of what is committed. */
  readonly unknown: { readonly count: number; readonly nano: bigint };
  /** Thresholds that were told of. */
  readonly alerts: readonly { readonly at: number; readonly toldAt: Date }[];
}

export interface BudgetFilter {
  /** Rules that are asked for, each with the window that is. */
  readonly rules: readonly { readonly rule: BudgetRule; readonly startsAt: Date }[];
  /** null: everybody. */
  readonly subject: string | null;
  /** The key of the last one seen; empty: from the beginning. */
  readonly after: string;
  readonly limit: number;
}

interface Row {
  key: string;
  subject: string;
  tenant_id: string | null;
  starts_at: Date;
  committed_nano: string;
  reserved_nano: string;
  unknown_count: number;
  unknown_nano: string;
}

const windowStatement = `
  select w.key, s.subject, s.tenant_id, w.starts_at, w.committed_nano, w.reserved_nano, u.n as unknown_count, u.nano as unknown_nano
  from jsonb_to_recordset($1::jsonb) as r (id text, starts_at timestamptz, of_tenant boolean)
    join waybill.budget_windows w on split_part(w.key, ':', 1) = r.id and w.starts_at = r.starts_at
    cross join lateral (select substr(w.key, strpos(w.key, ':') + 1) as name) n
    cross join lateral (select case when r.of_tenant then split_part(n.name, '/', 1) end as tenant_id,
      case when r.of_tenant then substr(n.name, strpos(n.name, '/') + 1) else n.name end as subject) s
    cross join lateral (select count(*)::int as n, coalesce(sum(b.nano), 0)::bigint as nano from waybill.budget_reservations b
      where b.key = w.key and b.starts_at = w.starts_at and b.is_committed) u
  where w.key > $2 and ($3::text is null or s.subject = $3)
  order by w.key limit $4`;

/** In the order of their keys; those that nobody has called for yet are in none. */
export async function readBudgetWindows(
  database: Database,
  { rules, subject, after, limit }: BudgetFilter,
): Promise<{ readonly windows: readonly BudgetWindow[]; readonly nextAfter: string | null }> {
  // Rules that count the same for others share a name.
  const asked = new Map(rules.map(({ rule, startsAt }) => [rule.id, { rule, startsAt }]));
  const items = [...asked.values()].map(({ rule, startsAt }) => ({
    id: rule.id,
    starts_at: startsAt,
    of_tenant: isOfTenant(rule),
  }));
  const found = await database.pool.query(windowStatement, [JSON.stringify(items), after, subject, limit + 1]);
  const rows = found.rows as unknown as Row[];
  const page = rows.slice(0, limit).flatMap((row) => {
    const rule = ruleOf(row, rules);
    return rule === null ? [] : [{ row, rule }];
  });
  const alerts = await readAlerts(database, page);
  const windows = page.map(({ row, rule }) => ({
    key: row.key,
    rule,
    tenantId: row.tenant_id,
    subject: row.subject,
    startsAt: row.starts_at,
    committedNano: BigInt(row.committed_nano),
    reservedNano: BigInt(row.reserved_nano),
    unknown: { count: row.unknown_count, nano: BigInt(row.unknown_nano) },
    alerts: alerts.get(row.key) ?? [],
  }));
  return { windows, nextAfter: rows.length > limit ? (rows[limit - 1]?.key ?? null) : null };
}

const isOfTenant = ({ per }: BudgetRule): boolean => per === 'end_user' || per === 'metadata';

/** The first one that is about the subject, as in the claim; null: none is any more. */
function ruleOf({ key, subject }: Row, rules: BudgetFilter['rules']): BudgetRule | null {
  const found = rules.find(
    ({ rule }) => key.startsWith(`${rule.id}:`) && (rule.only === null || rule.only.includes(subject)),
  );
  return found?.rule ?? null;
}

const alertStatement = `
  select a.key, a.part::float8 as part, e.created_at
  from jsonb_to_recordset($1::jsonb) as a (key text, starts_at timestamptz, part numeric)
    join waybill.events e on e.id = waybill.budget_alert_id(a.key, a.starts_at, a.part)
  order by a.part`;

async function readAlerts(
  { pool }: Database,
  page: readonly { readonly row: Row; readonly rule: BudgetRule }[],
): Promise<Map<string, { at: number; toldAt: Date }[]>> {
  const items = page.flatMap(({ row, rule }) =>
    rule.alertAt.map((part) => ({ key: row.key, starts_at: row.starts_at, part })),
  );
  if (items.length === 0) return new Map();
  const { rows } = await pool.query(alertStatement, [JSON.stringify(items)]);
  const alerts = rows as unknown as { key: string; part: number; created_at: Date }[];
  return new Map(
    [...Map.groupBy(alerts, ({ key }) => key)].map(([key, list]) => [
      key,
      list.map(({ part, created_at: toldAt }) => ({ at: part, toldAt })),
    ]),
  );
}

/** How the budgets stand that a job counts for, by the same functions as its claim. Reads only: nothing is reserved. */

import type { CallPrices } from '../pricing/call-prices.ts';
import type { BudgetRule } from '../routing/budgets.ts';
import { budgetSubjects } from '../routing/budgets.ts';
import { budgetsJson, pricesJson } from './claim.ts';
import type { Database } from './database.ts';

/** What budgets know of a job, stored or not. */
export interface BudgetAsker {
  readonly tenantId: string;
  readonly apiKeyId: string | null;
  readonly endUser: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** Input and output. */
  readonly estimatedTokens: number;
  readonly estimatedOutput: number;
  readonly inputBound: number;
  /** null: the request has none. */
  readonly outputBound: number | null;
}

export interface BudgetStanding {
  readonly target: string;
  /** The name of the rule, and whom it counts here. */
  readonly id: string;
  readonly subject: string;
  readonly per: BudgetRule['per'];
  readonly onExceeded: BudgetRule['onExceeded'];
  readonly windowStart: Date;
  readonly limitNano: bigint;
  readonly committedNano: bigint;
  readonly reservedNano: bigint;
  /** What a call there is taken to cost; null: its price is unknown, and the rule lets no such call pass. */
  readonly amountNano: bigint | null;
}

interface Row {
  target: string;
  key: string;
  starts_at: Date;
  id: string;
  per: string;
  on_exceeded: string;
  limit_nano: string;
  amount: string | null;
  committed_nano: string | null;
  reserved_nano: string | null;
}

const statement = `
  select x.target, b.key, b.starts_at, b.rule->>'id' as id, b.rule->>'per' as per, b.rule->>'onExceeded' as on_exceeded,
    (b.rule->>'limitNano')::bigint as limit_nano, w.committed_nano, w.reserved_nano,
    waybill.budget_amount(j, b.rule->>'reserve', b.rule->>'onUnknownPrice', x.prices) as amount
  from jsonb_populate_record(null::waybill.jobs, $1::jsonb) j,
    jsonb_to_recordset($2::jsonb) as x(ord int, target text, prices jsonb),
    waybill.budgets_of(j, x.target, $3::jsonb) b
    left join waybill.budget_windows w on w.key = b.key and w.starts_at = b.starts_at
  order by x.ord, b.key`;

/** In the order of the targets. @param prices null: nobody knows what a call there costs */
export async function readBudgetStandings(
  { pool }: Database,
  asker: BudgetAsker,
  targets: readonly { readonly target: string; readonly prices: CallPrices | null }[],
  rules: readonly BudgetRule[],
): Promise<BudgetStanding[]> {
  if (rules.length === 0 || targets.length === 0) return [];
  const job = {
    tenant_id: asker.tenantId,
    api_key_id: asker.apiKeyId,
    end_user: asker.endUser,
    metadata: asker.metadata,
    estimated_tokens: asker.estimatedTokens,
    estimated_output: asker.estimatedOutput,
    input_bound: asker.inputBound,
    output_bound: asker.outputBound,
  };
  const asked = targets.map(({ target, prices }, ord) => ({ ord, target, prices: prices && pricesJson(prices) }));
  const { rows } = await pool.query(statement, [JSON.stringify(job), JSON.stringify(asked), budgetsJson(rules)]);
  return (rows as unknown as Row[]).map((row) => ({
    target: row.target,
    id: row.id,
    // Those of one tenant stand behind its id, which it knows.
    subject: row.key.slice(row.id.length + 1).replace(`${asker.tenantId}/`, ''),
    per: budgetSubjects.find((each) => each === row.per) ?? 'tenant',
    onExceeded: row.on_exceeded === 'local_only' ? 'local_only' : 'reject',
    windowStart: row.starts_at,
    limitNano: BigInt(row.limit_nano),
    committedNano: BigInt(row.committed_nano ?? 0),
    reservedNano: BigInt(row.reserved_nano ?? 0),
    amountNano: row.amount === null ? null : BigInt(row.amount),
  }));
}

/** As the claim would find it now. */
export function standingWord({
  amountNano,
  committedNano,
  reservedNano,
  limitNano,
}: Pick<BudgetStanding, 'amountNano' | 'committedNano' | 'reservedNano' | 'limitNano'>): 'fit' | 'wait' | 'exceed' {
  if (amountNano === null) return 'exceed';
  if (amountNano === 0n) return 'fit';
  if (committedNano + amountNano > limitNano) return 'exceed';
  return committedNano + reservedNano + amountNano > limitNano ? 'wait' : 'fit';
}

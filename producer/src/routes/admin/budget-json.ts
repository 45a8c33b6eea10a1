/** Budgets as an operator sees them: what is spent, reserved and left in a window. Pure. */
import { formatUsd } from '@waybill/shared/domain/money.ts';
import { type BudgetRule, windowEnd, windowStart } from '@waybill/shared/routing/budgets.ts';
import type { BudgetWindow } from '@waybill/shared/store/budgets.ts';

export interface BudgetRuleJson {
  readonly object: 'budget_rule';
  readonly id: string;
  readonly per: BudgetRule['per'];
  readonly field: string | null;
  /** null: each of them has the budget. */
  readonly only: readonly string[] | null;
  readonly period: BudgetRule['period'];
  readonly window_start: string;
  readonly window_end: string;
  readonly limit_usd: string;
  readonly alert_at: readonly number[];
  readonly reserve: BudgetRule['reserve'];
  readonly on_exceeded: BudgetRule['onExceeded'];
  readonly on_unknown_price: BudgetRule['onUnknownPrice'];
}

export interface BudgetJson {
  readonly object: 'budget';
  /** Of its rule. */
  readonly id: string;
  readonly per: BudgetRule['per'];
  readonly field: string | null;
  readonly subject: string;
  /** Of users and metadata, which are told apart by tenant; else null. */
  readonly tenant_id: string | null;
  readonly window_start: string;
  readonly window_end: string;
  readonly limit_usd: string;
  /** Spent, what was reserved for calls of unknown cost included. */
  readonly committed_usd: string;
  readonly reserved_usd: string;
  /** Neither spent nor reserved; never below zero. */
  readonly remaining_usd: string;
  /** Ended calls whose cost nobody knows, and what was reserved for them. */
  readonly unknown: { readonly count: number; readonly usd: string };
  readonly alerts: readonly { readonly at: number; readonly told_at: string }[];
  readonly on_exceeded: BudgetRule['onExceeded'];
}

export interface BudgetList {
  readonly object: 'list';
  /** One for each subject that was called for in the window. */
  readonly data: readonly BudgetJson[];
  readonly rules: readonly BudgetRuleJson[];
  readonly has_more: boolean;
  /** What `after` is for the next page; null: there is none. */
  readonly next_after: string | null;
}

/** The start of the rule's window at the time, or of the one before it. */
export function askedStart({ period }: BudgetRule, which: 'current' | 'previous', nowMs: number): Date {
  const start = windowStart(period, nowMs);
  return which === 'current' ? start : windowStart(period, start.getTime() - 1);
}

export const ruleJson = (rule: BudgetRule, start: Date): BudgetRuleJson => ({
  object: 'budget_rule',
  id: rule.id,
  per: rule.per,
  field: rule.field,
  only: rule.only,
  period: rule.period,
  window_start: start.toISOString(),
  window_end: windowEnd(rule.period, start.getTime()).toISOString(),
  limit_usd: formatUsd(rule.limitNano),
  alert_at: rule.alertAt,
  reserve: rule.reserve,
  on_exceeded: rule.onExceeded,
  on_unknown_price: rule.onUnknownPrice,
});

export function budgetJson({ rule, ...window }: BudgetWindow): BudgetJson {
  const left = rule.limitNano - window.committedNano - window.reservedNano;
  return {
    object: 'budget',
    id: rule.id,
    per: rule.per,
    field: rule.field,
    subject: window.subject,
    tenant_id: window.tenantId,
    window_start: window.startsAt.toISOString(),
    window_end: windowEnd(rule.period, window.startsAt.getTime()).toISOString(),
    limit_usd: formatUsd(rule.limitNano),
    committed_usd: formatUsd(window.committedNano),
    reserved_usd: formatUsd(window.reservedNano),
    remaining_usd: formatUsd(left > 0n ? left : 0n),
    unknown: { count: window.unknown.count, usd: formatUsd(window.unknown.nano) },
    alerts: window.alerts.map(({ at, toldAt }) => ({ at, told_at: toldAt.toISOString() })),
    on_exceeded: rule.onExceeded,
  };
}

/**
 * Budgets: what may be spent per tenant, API key, user, provider, model or metadata in a day or a month. Pure.
 *
 * Spending is kept and checked in the database alone, in the claim and the settle; here is what a rule means: whom it
 * is about, which calendar window it is in, and what a call is taken to cost before it is made.
 */
import type { NanoUsd } from '../domain/money.ts';

export const budgetSubjects = ['tenant', 'api_key', 'end_user', 'provider', 'model', 'metadata'] as const;
export type BudgetSubject = (typeof budgetSubjects)[number];

export interface BudgetRule {
  /** Stands for what is counted; a change of the limit keeps it. */
  readonly id: string;
  readonly per: BudgetSubject;
  readonly field: string | null;
  /** null: each of them has the budget. */
  readonly only: readonly string[] | null;
  readonly period: 'day' | 'month';
  readonly limitNano: NanoUsd;
  /** Parts of the limit at which somebody is told, once per window. */
  readonly alertAt: readonly number[];
  readonly reserve: 'expected' | 'max';
  readonly onExceeded: 'reject' | 'local_only';
  readonly onUnknownPrice: 'reserve_max' | 'block' | 'allow';
}

/** Nano-USD per million tokens. */
export interface TokenPrice {
  readonly inputPerMillion: NanoUsd;
  readonly outputPerMillion: NanoUsd;
}

/** The name of a rule, from what it counts: two rules that count the same share it. */
export const budgetRuleId = ({ per, field, period }: Pick<BudgetRule, 'per' | 'field' | 'period'>): string =>
  `${per}${field === null ? '' : `.${field}`}/${period}`;

/** When the window of a moment began, in UTC. */
export function windowStart(period: 'day' | 'month', nowMs: number): Date {
  const now = new Date(nowMs);
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), period === 'day' ? now.getUTCDate() : 1));
}

/** When the window of a moment ends: then there is something to spend again. */
export function windowEnd(period: 'day' | 'month', nowMs: number): Date {
  const start = windowStart(period, nowMs);
  return period === 'day'
    ? new Date(start.getTime() + 86_400_000)
    : new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1, 1));
}

/** What so many tokens cost, rounded up. */
export function priceOfTokens(
  { inputPerMillion, outputPerMillion }: TokenPrice,
  input: number,
  output: number,
): NanoUsd {
  const total = BigInt(Math.ceil(input)) * inputPerMillion + BigInt(Math.ceil(output)) * outputPerMillion;
  return (total + 999_999n) / 1_000_000n;
}

/** What an operator is shown of budgets: calendar windows, and what is left, which is never below zero. */
import type { BudgetRule } from '@waybill/shared/routing/budgets.ts';
import type { BudgetWindow } from '@waybill/shared/store/budgets.ts';
import { expect, test } from 'vitest';
import { askedStart, budgetJson, ruleJson } from './budget-json.ts';

const rule: BudgetRule = {
  ...{ id: 'tenant/month', per: 'tenant', field: null, only: ['small'], period: 'month', limitNano: 1_000_000_000n },
  ...{ alertAt: [0.5, 1], reserve: 'expected', onExceeded: 'reject', onUnknownPrice: 'reserve_max' },
};
const daily: BudgetRule = { ...rule, id: 'tenant/day', period: 'day' };

test.for<[BudgetRule, 'current' | 'previous', string, string]>([
  [rule, 'current', '2026-03-31T23:59:59Z', '2026-03-01T00:00:00.000Z'],
  [rule, 'previous', '2026-03-31T23:59:59Z', '2026-02-01T00:00:00.000Z'],
  [rule, 'previous', '2026-01-01T00:00:00Z', '2025-12-01T00:00:00.000Z'],
  [daily, 'current', '2026-03-01T00:00:00Z', '2026-03-01T00:00:00.000Z'],
  [daily, 'previous', '2026-03-01T00:00:00Z', '2026-02-28T00:00:00.000Z'],
])('the window of %o: %s, at %s', ([asked, which, at, start]) => {
  expect(askedStart(asked, which, Date.parse(at)).toISOString()).toBe(start);
});

test('a rule shows what it says, and the window that was asked for', () => {
  expect(ruleJson(rule, new Date('2026-02-01T00:00:00Z'))).toEqual({
    ...{ object: 'budget_rule', id: 'tenant/month', per: 'tenant', field: null, only: ['small'], period: 'month' },
    ...{ window_start: '2026-02-01T00:00:00.000Z', window_end: '2026-03-01T00:00:00.000Z', limit_usd: '1.00' },
    ...{ alert_at: [0.5, 1], reserve: 'expected', on_exceeded: 'reject', on_unknown_price: 'reserve_max' },
  });
});

const window: BudgetWindow = {
  ...{ key: 'tenant/month:small', rule, tenantId: null, subject: 'small', startsAt: new Date('2026-02-01T00:00:00Z') },
  ...{ committedNano: 400_000_000n, reservedNano: 100_000_001n, unknown: { count: 2, nano: 5n } },
  alerts: [{ at: 0.5, toldAt: new Date('2026-02-03T00:00:00Z') }],
};

test('what is left is what is neither spent nor reserved', () => {
  expect(budgetJson(window)).toMatchObject({
    ...{ committed_usd: '0.40', reserved_usd: '0.100000001', remaining_usd: '0.499999999' },
    ...{ unknown: { count: 2, usd: '0.000000005' }, alerts: [{ at: 0.5, told_at: '2026-02-03T00:00:00.000Z' }] },
    ...{ window_start: '2026-02-01T00:00:00.000Z', window_end: '2026-03-01T00:00:00.000Z' },
  });
  expect(budgetJson({ ...window, committedNano: 2_000_000_000n })).toMatchObject({
    ...{ committed_usd: '2.00', remaining_usd: '0.00' },
  });
});

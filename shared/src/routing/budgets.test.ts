import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BudgetRule, budgetRuleId, priceOfTokens, windowEnd, windowStart } from './budgets.ts';

describe('the name of a rule is what it counts', () => {
  test.for<[Pick<BudgetRule, 'per' | 'field' | 'period'>, string]>([
    [{ per: 'tenant', field: null, period: 'month' }, 'tenant/month'],
    [{ per: 'api_key', field: null, period: 'day' }, 'api_key/day'],
    [{ per: 'metadata', field: 'team', period: 'month' }, 'metadata.team/month'],
    [{ per: 'metadata', field: 'user', period: 'month' }, 'metadata.user/month'],
  ])('%o: %s', ([rule, id]) => {
    expect(budgetRuleId(rule)).toBe(id);
  });
});

describe('a calendar window in UTC', () => {
  test.for<[string, 'day' | 'month', string, string, string]>([
    ['a day', 'day', '2026-11-21T13:14:15.016Z', '2026-11-21T00:00:00.000Z', '2026-11-22T00:00:00.000Z'],
    [
      'the first moment of a day',
      'day',
      '2026-11-21T00:00:00.000Z',
      '2026-11-21T00:00:00.000Z',
      '2026-11-22T00:00:00.000Z',
    ],
    [
      'the last moment of a day',
      'day',
      '2026-11-21T23:59:59.999Z',
      '2026-11-21T00:00:00.000Z',
      '2026-11-22T00:00:00.000Z',
    ],
    [
      'the last day of a month',
      'day',
      '2026-11-30T12:00:00.000Z',
      '2026-11-30T00:00:00.000Z',
      '2026-12-01T00:00:00.000Z',
    ],
    [
      'the last day of a year',
      'day',
      '2026-12-31T12:00:00.000Z',
      '2026-12-31T00:00:00.000Z',
      '2027-01-01T00:00:00.000Z',
    ],
    [
      'the day before a leap day',
      'day',
      '2028-02-28T12:00:00.000Z',
      '2028-02-28T00:00:00.000Z',
      '2028-02-29T00:00:00.000Z',
    ],
    ['a month of 30 days', 'month', '2026-11-21T13:14:15.016Z', '2026-11-01T00:00:00.000Z', '2026-12-01T00:00:00.000Z'],
    [
      'the first moment of a month',
      'month',
      '2026-11-01T00:00:00.000Z',
      '2026-11-01T00:00:00.000Z',
      '2026-12-01T00:00:00.000Z',
    ],
    [
      'the last day of a month of 31',
      'month',
      '2026-01-31T23:59:59.999Z',
      '2026-01-01T00:00:00.000Z',
      '2026-02-01T00:00:00.000Z',
    ],
    ['a short February', 'month', '2027-02-28T23:59:59.999Z', '2027-02-01T00:00:00.000Z', '2027-03-01T00:00:00.000Z'],
    ['a leap February', 'month', '2028-02-29T23:59:59.999Z', '2028-02-01T00:00:00.000Z', '2028-03-01T00:00:00.000Z'],
    [
      'the last month of a year',
      'month',
      '2026-12-31T23:59:59.999Z',
      '2026-12-01T00:00:00.000Z',
      '2027-01-01T00:00:00.000Z',
    ],
  ])('%s', ([, period, now, start, end]) => {
    const nowMs = Date.parse(now);
    expect(windowStart(period, nowMs).toISOString()).toBe(start);
    expect(windowEnd(period, nowMs).toISOString()).toBe(end);
  });

  const periods = fc.constantFrom('day' as const, 'month' as const);
  const moments = fc.integer({ min: 0, max: Date.parse('2100-01-01T00:00:00.000Z') });
  test('holds its moment, and the next one begins where it ends', () => {
    fc.assert(
      fc.property(periods, moments, (period, nowMs) => {
        const end = windowEnd(period, nowMs).getTime();
        expect(windowStart(period, nowMs).getTime()).toBeLessThanOrEqual(nowMs);
        expect(end).toBeGreaterThan(nowMs);
        expect(windowStart(period, end).getTime()).toBe(end);
        expect(windowStart(period, end - 1)).toEqual(windowStart(period, nowMs));
      }),
    );
  });
});

describe('the price of tokens', () => {
  const dear = { inputPerMillion: 2_500_000_000n, outputPerMillion: 10_000_000_000n };
  const cheap = { inputPerMillion: 1n, outputPerMillion: 3n };
  test.for<[string, typeof dear, number, number, bigint]>([
    ['is that of input and output together', dear, 1_000, 200, 4_500_000n],
    ['is that of the output alone', dear, 0, 1, 10_000n],
    ['is nothing for nothing', dear, 0, 0, 0n],
    ['is nothing where nothing costs', { inputPerMillion: 0n, outputPerMillion: 0n }, 1_000_000, 1_000_000, 0n],
    ['is exact where it comes out even', cheap, 1_000_000, 1_000_000, 4n],
    ['is rounded up from the smallest part', cheap, 1, 0, 1n],
    ['is rounded up once, not for each side', cheap, 400_000, 200_000, 1n],
    ['is rounded up just above', cheap, 1_000_001, 0, 2n],
    ['counts a part of a token as one', dear, 0.1, 0.1, 12_500n],
    [
      'holds more than a double can',
      { ...dear, inputPerMillion: 90_071_992_547_409_931_000_001n },
      1_000_000,
      0,
      90_071_992_547_409_931_000_001n,
    ],
  ])('%s', ([, price, input, output, expected]) => {
    expect(priceOfTokens(price, input, output)).toBe(expected);
  });
});

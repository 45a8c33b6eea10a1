import { expect, test } from 'vitest';
import { presets } from '../presets.ts';
import { serviceTerms, serviceTermsDate } from './service-terms.ts';

test('there are terms for every provider that has prices, and they are dated', () => {
  const priced = new Set(presets.flatMap(({ pricesAs }) => pricesAs ?? []));
  expect(Object.keys(serviceTerms).toSorted()).toEqual([...priced].toSorted());
  expect(serviceTermsDate).toMatch(/^\d{4}-\d{2}-\d{2}$/);
});

test.for(Object.entries(serviceTerms))(
  '%s: percents are of the usual price, and every name stands once',
  ([, terms]) => {
    expect(terms.source).toMatch(/^https:\/\//);
    for (const percent of [terms.batchPercent, ...terms.tiers.map((tier) => tier.percent)].filter(
      (each) => each !== null,
    )) {
      expect(percent).toBeGreaterThan(0);
      expect(percent).toBeLessThanOrEqual(300);
    }
    const names = terms.tiers.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  },
);

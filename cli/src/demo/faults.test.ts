import { expect, test } from 'vitest';
import { chooseFault, demoRates } from './faults.ts';

test('faults come at their rates, and the rest is answered well', () => {
  const rates = { rate_limit: 0.1, server_error: 0.2, overloaded: 0, hang: 0.05, cut: 0.05 };
  const counts: Record<string, number> = {};
  for (let n = 0; n < 1_000; n += 1) {
    const fault = chooseFault(rates, (n + 0.5) / 1_000) ?? 'none';
    counts[fault] = (counts[fault] ?? 0) + 1;
  }
  expect(counts).toEqual({ rate_limit: 100, server_error: 200, hang: 50, cut: 50, none: 600 });
});

test('the first provider is in more trouble than the others', () => {
  const sum = (rates: Readonly<Record<string, number>>) =>
    Object.values(rates).reduce((total, rate) => total + rate, 0);
  expect(sum(demoRates.openai)).toBeGreaterThan(sum(demoRates.anthropic));
  expect(sum(demoRates.anthropic)).toBeGreaterThan(sum(demoRates.ollama));
});

import type { JobEstimateJson } from '@waybill/producer/estimate-json.ts';
import { expect, test } from 'vitest';
import { createEstimateSum, estimateSumText } from './estimate-sum.ts';

const estimate = (target: string | null, cost: string | null, warnings: string[] = []) =>
  ({
    ...{ input_tokens: 5, output_tokens: 10, target, warnings },
    targets: [{ target: 'a/m', is_first: target === 'a/m', expected_cost_usd: cost, largest_cost_usd: cost }],
  }) as unknown as JobEstimateJson;

test('costs are summed exactly; what is unknown or served by nobody is counted beside them', () => {
  const total = createEstimateSum();
  for (let job = 0; job < 10; job += 1) total.add(estimate('a/m', '0.000000001'));
  total.add(estimate('a/m', null, ['unknown']));
  total.add(estimate(null, '5', ['unknown', 'nobody\u001b[31m']));
  expect(total.sum()).toEqual({
    ...{ object: 'job_estimate_sum', jobs: 12, input_tokens: 60, output_tokens: 120 },
    ...{ expected_cost_usd: '0.00000001', largest_cost_usd: '0.00000001', expected_unknown: 1, largest_unknown: 1 },
    ...{ targets: { 'a/m': 11 }, unservable: 1, warnings: { unknown: 2, 'nobody\u001b[31m': 1 } },
  });
  const text = estimateSumText(total.sum());
  expect(text).toContain('expected  $0.00000001 + 1 job(s) of unknown cost');
  expect(text).toContain('! 2: unknown\n! 1: nobody\\x1b[31m');
});

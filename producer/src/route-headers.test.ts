import type { AttemptRow, JobRow } from '@waybill/shared/store/jobs.ts';
import { expect, test } from 'vitest';
import { headerText, routeHeaders } from './route-headers.ts';

const headersOf = (job: Partial<JobRow>, attempts: readonly Partial<AttemptRow>[]) =>
  routeHeaders({ job: job as JobRow, attempts: attempts as AttemptRow[], output: null });

test('a job that was answered names the target, its attempts and what they cost', () => {
  const attempts = [
    { target: 'a/m', cost_nano: '1000', cost_basis: 'estimated' },
    { target: 'b/n', cost_nano: '2000000', cost_basis: 'reported' },
  ];
  expect(headersOf({ is_last_resort: false }, attempts)).toEqual({
    'x-waybill-target': 'b/n',
    'x-waybill-attempts': '2',
    'x-waybill-cost-usd': '0.002001',
  });
});

test('what is unknown of the cost stands beside what is known', () => {
  const attempts = [
    { target: 'a/m', cost_nano: null, cost_basis: 'unknown' },
    { target: 'a/m', cost_nano: '5', cost_basis: 'reported' },
    { target: 'a/m', cost_nano: null, cost_basis: null },
  ];
  expect(headersOf({ is_last_resort: false }, attempts)).toMatchObject({
    'x-waybill-cost-usd': '0.000000005',
    'x-waybill-cost-unknown-attempts': '1',
  });
});

test('a last resort says so; a job that was never called names no target', () => {
  expect(headersOf({ is_last_resort: true }, [{ target: 'a/m', cost_nano: '0', cost_basis: 'none' }])).toMatchObject({
    'x-waybill-target': 'waybill/last_resort',
  });
  expect(headersOf({ is_last_resort: false, target: 'a/m' }, [])).toEqual({
    'x-waybill-attempts': '0',
    'x-waybill-cost-usd': '0.00',
  });
});

test.for([
  ['openai/gpt-4.1-mini', 'openai/gpt-4.1-mini'],
  ['p/org/m:1@x', 'p/org/m:1@x'],
  ['p/模型', 'p/%E6%A8%A1%E5%9E%8B'],
  ['p/50%', 'p/50%25'],
  ['p/a b\r\nx-evil: 1', 'p/a%20b%0D%0Ax-evil:%201'],
  ['p/\ud800', 'p/%EF%BF%BD'],
] as const)('%j goes into a header as %j', ([text, expected]) => {
  expect(headerText(text)).toBe(expected);
});

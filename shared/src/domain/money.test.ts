import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatUsd, nanoFromUsdNumber, parseUsd } from './money.ts';

describe('formatUsd', () => {
  test.for([
    ['writes two decimals of a whole amount', 5_000_000_000n, '5.00'],
    ['writes zero', 0n, '0.00'],
    ['writes the smallest amount', 1n, '0.000000001'],
    ['leaves trailing zeros out', 123_000n, '0.000123'],
    ['keeps two decimals', 1_500_000_000n, '1.50'],
    ['writes a negative amount', -1_250_000_000n, '-1.25'],
    ['writes a negative fraction', -1n, '-0.000000001'],
    ['writes more than a double holds', 9_007_199_254_740_993_000_000_001n, '9007199254740993.000000001'],
  ] as const)('%s', ([, nano, expected]) => {
    expect(formatUsd(nano)).toBe(expected);
  });
});

describe('parseUsd', () => {
  test.for([
    ['reads a whole amount', '3', 3_000_000_000n],
    ['reads a fraction', '0.4', 400_000_000n],
    ['reads nine decimals', '0.000000001', 1n],
    ['reads nine digits', '999999999.999999999', 999_999_999_999_999_999n],
    ['refuses ten decimals', '0.0000000001', null],
    ['refuses ten digits', '1000000000', null],
    ['refuses a negative amount', '-1', null],
    ['refuses an exponent', '1e3', null],
    ['refuses a point without digits', '1.', null],
    ['refuses digits without a whole part', '.5', null],
    ['refuses a comma', '1,50', null],
    ['refuses a currency', '$1', null],
    ['refuses space', ' 1', null],
    ['refuses nothing', '', null],
  ] as const)('%s', ([, text, expected]) => {
    expect(parseUsd(text)).toBe(expected);
  });

  test('reads back what formatUsd wrote', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 999_999_999_999_999_999n }), (nano) => {
        expect(parseUsd(formatUsd(nano))).toBe(nano);
      }),
    );
  });
});

test.for([
  ['takes whole dollars', 2, 2_000_000_000n],
  ['rounds half up', 0.0000000005, 1n],
  ['rounds less than half down', 0.00000000049, 0n],
  ['hides the error of a double', 0.1 + 0.2, 300_000_000n],
] as const)('nanoFromUsdNumber %s', ([, usd, expected]) => {
  expect(nanoFromUsdNumber(usd)).toBe(expected);
});

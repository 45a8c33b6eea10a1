import { describe, expect, test } from 'vitest';
import { durationSchema, formatDuration, maxDurationMs, parseDuration } from './duration.ts';

describe('parseDuration', () => {
  test.for([
    ['reads milliseconds', '250ms', 250],
    ['reads seconds', '30s', 30_000],
    ['reads minutes', '5m', 300_000],
    ['reads hours', '24h', 86_400_000],
    ['reads days', '7d', 604_800_000],
    ['reads a fraction', '1.5s', 1_500],
    ['refuses four decimals', '0.0005s', null],
    ['rounds three decimals', '1.234ms', 1],
    ['reads zero and leaves the bounds to the schema', '0s', 0],
    ['refuses a bare number', '30', null],
    ['refuses two units', '1m30s', null],
    ['refuses an unknown unit', '1w', null],
    ['refuses capitals', '1S', null],
    ['refuses space', '1 s', null],
    ['refuses a sign', '-1s', null],
    ['refuses ten digits', '1234567890s', null],
    ['refuses nothing', '', null],
  ] as const)('%s', ([, text, expected]) => {
    expect(parseDuration(text)).toBe(expected);
  });
});

test.for([
  [0, '0ms'],
  [1, '1ms'],
  [1_500, '1500ms'],
  [90_000, '90s'],
  [120_000, '2m'],
  [3_600_000, '1h'],
  [129_600_000, '36h'],
  [86_400_000, '1d'],
] as const)('%i milliseconds are written in the shortest exact way', ([ms, expected]) => {
  expect(formatDuration(ms)).toBe(expected);
});

describe('a schema of durations', () => {
  const seconds = durationSchema({ min: 1_000, max: 60_000 });
  test.for([
    ['takes its least value', seconds, '1s', 1_000],
    ['takes its greatest value', seconds, '60s', 60_000],
    ['takes one millisecond when it has no bounds', durationSchema(), '1ms', 1],
    ['takes 24 days when it has no bounds', durationSchema(), '24d', maxDurationMs],
  ] as const)('%s', ([, schema, text, expected]) => {
    expect(schema.parse(text)).toBe(expected);
  });

  test.for([
    ['less than its least value', seconds, '999ms', 'out_of_range', 'from 1s to 1m, received 999ms'],
    ['more than its greatest value', seconds, '61s', 'out_of_range', 'from 1s to 1m'],
    ['zero', durationSchema(), '0s', 'out_of_range', 'from 1ms to 24d'],
    ['more than a timer of Node can hold', durationSchema({ max: 1e12 }), '25d', 'out_of_range', 'to 24d'],
    ['a text without a unit', seconds, '30', 'invalid_type', 'received "30"'],
  ] as const)('refuses %s and says why', ([, schema, text, code, words]) => {
    const [issue] = schema.safeParse(text).error?.issues ?? [];
    expect(issue).toMatchObject({ code: 'custom', params: { code } });
    expect(issue?.message).toContain(words);
  });

  test('quotes at most forty characters of what it refuses', () => {
    const [issue] = seconds.safeParse('x'.repeat(500)).error?.issues ?? [];
    expect(issue?.message).toContain(`"${'x'.repeat(40)}"`);
  });

  test('refuses a number, whose unit nobody knows', () => {
    expect(seconds.safeParse(30).success).toBe(false);
  });
});

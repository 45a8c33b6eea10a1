import { describe, expect, test } from 'vitest';
import { parseReset, parseRetryAfter } from './retry-after.ts';

const nowMs = Date.parse('2026-11-21T12:00:00Z');
const dayMs = 86_400_000;
type Headers = Readonly<Record<string, string>>;

describe('the wait in the headers', () => {
  test.for<[string, Headers, number | null]>([
    ['is not there', {}, null],
    ['is in milliseconds', { 'retry-after-ms': '1500' }, 1_500],
    ['is in fractions of a millisecond, rounded up', { 'retry-after-ms': '12.3' }, 13],
    ['is in seconds', { 'retry-after': '20' }, 20_000],
    ['is in fractions of a second', { 'retry-after': '7.66' }, 7_660],
    ['is a date', { 'retry-after': 'Sat, 21 Nov 2026 12:00:30 GMT' }, 30_000],
    ['is in milliseconds before seconds', { 'retry-after-ms': '250', 'retry-after': '20' }, 250],
    ['is in seconds when the milliseconds are useless', { 'retry-after-ms': '0', 'retry-after': '20' }, 20_000],
    ['is zero, and ignored', { 'retry-after': '0' }, null],
    ['is negative, and ignored', { 'retry-after': '-5' }, null],
    ['is a date in the past, and ignored', { 'retry-after': 'Sat, 21 Nov 2026 11:59:59 GMT' }, null],
    ['is now, and ignored', { 'retry-after': 'Sat, 21 Nov 2026 12:00:00 GMT' }, null],
    ['is no time, and ignored', { 'retry-after': 'soon' }, null],
    ['is empty, and ignored', { 'retry-after': ' ' }, null],
    ['is infinite, and ignored', { 'retry-after': 'Infinity' }, null],
    ['is longer than a timer can wait, and ignored', { 'retry-after': '2147484' }, null],
    ['is a date years ahead, and ignored', { 'retry-after': 'Sat, 21 Nov 2037 12:00:00 GMT' }, null],
    ['was sent twice, and ignored', { 'retry-after': '120, 240' }, null],
  ])('%s', ([, headers, expected]) => {
    expect(parseRetryAfter(headers, '', nowMs)).toBe(expected);
  });
});

describe('the wait in the body', () => {
  test.for<[string, string, number | null]>([
    ['is a duration of protobuf', '{"error":{"details":[{"retryDelay":"22s"}]}}', 22_000],
    ['is a fraction of one', '{"retryDelay": "8.941621227s"}', 8_942],
    ['is in seconds', '{"error":{"metadata":{"retry_after":5}}}', 5_000],
    ['is in seconds, as a text', '{"error":{"metadata":{"retry_after":"2.5"}}}', 2_500],
    ['is a time', '{"error":{"metadata":{"resets_at":"2026-11-21T12:10:00Z"}}}', 600_000],
    ['is a time in milliseconds', `{"metadata":{"resets_at":${nowMs + 4_000}}}`, 4_000],
    ['is a time in seconds', `{"metadata":{"resets_at":${nowMs / 1_000 + 4}}}`, 4_000],
    ['is a time in the past, and ignored', '{"metadata":{"resets_at":"2026-11-20T12:00:00Z"}}', null],
    ['is no time, and ignored', '{"metadata":{"resets_at":"soon"}}', null],
    ['is in the text, in seconds', 'Please try again in 20s. Visit our site', 20_000],
    ['is in the text, in fractions of a second', 'Please try again in 7.66s.', 7_660],
    ['is in the text, in milliseconds', 'Please try again in 486ms.', 486],
    ['is in the text, in minutes', 'Please retry in 2m.', 120_000],
    ['is in the text, in minutes and seconds', 'Please try again in 14m24s. Need more tokens?', 864_000],
    ['is in the text, in hours, minutes and seconds', 'Try again in 1h2m3.5s', 3_723_500],
    ['is in the text, in words of Azure', 'Please retry after 12 seconds.', 12_000],
    ['is in the text, in words', 'try again in 20 seconds', 20_000],
    ['is in the text, in two words', 'Please try again in 1 minute 30 seconds.', 90_000],
    ['is in the text, in days', 'Please try again in 2 days.', 2 * dayMs],
    ['is in the text in no unit, and ignored', 'try again in 20', null],
    ['is in the text in a strange unit, and ignored', 'try again in 5 moons', null],
    ['is zero, and ignored', '{"retryDelay":"0s"}', null],
    ['is too far into the body', `${' '.repeat(8_192)}try again in 20s`, null],
  ])('%s', ([, body, expected]) => {
    expect(parseRetryAfter({}, body, nowMs)).toBe(expected);
  });

  test('gives way to the headers', () => {
    expect(parseRetryAfter({ 'retry-after': '3' }, 'try again in 20s', nowMs)).toBe(3_000);
  });
});

describe('the reset of a dimension', () => {
  const openai = { 'x-ratelimit-remaining-requests': '9', 'x-ratelimit-reset-requests': '1s' };
  test.for<[string, Headers, number | null]>([
    ['is not needed while something remains', openai, null],
    ['counts when nothing remains', { ...openai, 'x-ratelimit-remaining-requests': '0' }, 1_000],
    [
      'counts for the one that is used up',
      { ...openai, 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6m0s' },
      360_000,
    ],
    [
      'counts for the later of two',
      {
        'x-ratelimit-remaining-requests': '0',
        'x-ratelimit-reset-requests': '2m59.56s',
        'x-ratelimit-remaining-tokens': '0',
        'x-ratelimit-reset-tokens': '7.66s',
      },
      179_560,
    ],
    [
      'is a time at Anthropic',
      {
        'anthropic-ratelimit-input-tokens-remaining': '0',
        'anthropic-ratelimit-input-tokens-reset': '2026-11-21T12:00:45Z',
      },
      45_000,
    ],
    [
      'is in epoch milliseconds at OpenRouter',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(nowMs + 8_000) },
      8_000,
    ],
    ['may be missing', { 'x-ratelimit-remaining-requests': '0' }, null],
    ['of something that is no limit says nothing', { 'x-budget-remaining': '0', 'x-budget-reset': '5s' }, null],
  ])('%s', ([, headers, expected]) => {
    expect(parseRetryAfter(headers, '', nowMs)).toBe(expected);
  });

  test('gives way to the body', () => {
    const headers = { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '9s' };
    expect(parseRetryAfter(headers, 'try again in 20s', nowMs)).toBe(20_000);
  });
});

describe('parseReset', () => {
  test.for<[string, string, number | null]>([
    ['seconds', '1s', 1_000],
    ['minutes and no seconds', '6m0s', 360_000],
    ['milliseconds, which are not minutes', '20ms', 20],
    ['hours, minutes and seconds', '1h2m3s', 3_723_000],
    ['days', '1d', dayMs],
    ['microseconds, rounded up', '1500us', 2],
    ['microseconds by their sign', '1500µs', 2],
    ['nanoseconds', '1000000ns', 1],
    ['seconds in fractions', '7.66s', 7_660],
    ['a time with a zone', '2026-11-21T13:00:05+01:00', 5_000],
    ['epoch milliseconds', String(nowMs + 1_234), 1_234],
    ['epoch seconds', String(nowMs / 1_000 + 3), 3_000],
    ['plain seconds', ' 12.5 ', 12_500],
    ['a time in the past as nothing', '2026-11-21T11:00:00Z', null],
    ['epoch seconds in the past as nothing', String(nowMs / 1_000 - 3), null],
    ['zero as nothing', '0s', null],
    ['a negative number as nothing', '-5', null],
    ['an empty text as nothing', '', null],
    ['a word as nothing', 'soon', null],
    ['a number with a strange unit as nothing', '5x', null],
  ])('reads %s', ([, value, expected]) => {
    expect(parseReset(value, nowMs)).toBe(expected);
  });
});

/** Rows of the reference's table for Gemini: status, `error.status`, `details[]`, text -> kind, scope and delay. */
import { describe, expect, test } from 'vitest';
import { failureInAnswer, readError } from './errors.ts';

const nowMs = Date.parse('2026-11-21T12:00:00Z');
const untilMidnightMs = Date.parse('2026-11-22T08:00:00Z') - nowMs;

interface Answer {
  readonly status: number;
  readonly word?: string;
  readonly message?: string;
  readonly details?: readonly object[];
}
const rpc = 'type.googleapis.com/google.rpc';
const info = (reason: string, metadata: object = {}) => ({ '@type': `${rpc}.ErrorInfo`, reason, metadata });
const quota = (...violations: object[]) => ({ '@type': `${rpc}.QuotaFailure`, violations });
const retryIn = (retryDelay: string) => ({ '@type': `${rpc}.RetryInfo`, retryDelay });
const help = { '@type': `${rpc}.Help`, links: [{ description: 'quota', url: 'https://ai.google.dev' }] };

const bodyOf = ({ status, word = 'UNKNOWN', message = 'a message', details = [] }: Answer) => ({
  error: { code: status, message, status: word, details },
});
const read = (body: string, status: number, headers = {}) => readError({ status, headers, body }, nowMs);
const failureOf = (answer: Answer) => read(JSON.stringify(bodyOf(answer)), answer.status);

const invalid = { status: 400, word: 'INVALID_ARGUMENT' } as const;
const precondition = { status: 400, word: 'FAILED_PRECONDITION' } as const;
const denied = { status: 403, word: 'PERMISSION_DENIED' } as const;
const exhausted = { status: 429, word: 'RESOURCE_EXHAUSTED' } as const;
const plan = 'You exceeded your current quota, please check your plan and billing details.';

const perMinute = { quotaId: 'GenerateRequestsPerMinutePerProjectPerModel-FreeTier', quotaValue: '15' };
const perDay = { quotaId: 'GenerateRequestsPerDayPerProjectPerModel-FreeTier', quotaValue: '250' };
const tokensPerDay = { quotaId: 'GenerateContentInputTokensPerModelPerDay-FreeTier', quotaValue: '6000000' };
const never = { quotaId: 'GenerateRequestsPerDayPerProjectPerModel-FreeTier', quotaValue: '0' };
const limited = (...details: object[]): Answer => ({ ...exhausted, message: plan, details });

describe('an error of Gemini', () => {
  test.for<[string, Answer, string]>([
    ['a bad key', { ...invalid, details: [info('API_KEY_INVALID')] }, 'auth'],
    ['an expired key', { ...invalid, details: [info('API_KEY_EXPIRED')] }, 'auth'],
    ['a bad key without details', { ...invalid, message: 'API key not valid. Please pass a valid API key.' }, 'auth'],
    ['a key that was published', { ...denied, message: 'Your API key was reported as leaked.' }, 'auth'],
    ['a place it does not serve', { ...precondition, message: 'User location is not supported.' }, 'region'],
    [
      'a prompt that is too long',
      {
        ...invalid,
        message: 'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
      },
      'context_length',
    ],
    ['too many bytes', { ...invalid, message: 'Request payload size exceeds the limit: 20971520 bytes.' }, 'too_large'],
    [
      'a missing signature',
      { ...invalid, message: 'Function call is missing a thought_signature in functionCall parts.' },
      'invalid_request',
    ],
    ['any other invalid request', { ...invalid, message: 'Invalid value at contents' }, 'invalid_request'],
    [
      'a parameter of other models',
      { ...invalid, message: 'Penalty is not enabled for this model' },
      'unsupported_feature',
    ],
    [
      'an image out of its reach',
      { ...invalid, message: 'Cannot fetch content from the provided URL.' },
      'unsupported_feature',
    ],
    [
      'a field it does not know',
      { ...invalid, message: 'Invalid JSON payload received. Unknown name "labels": Cannot find field.' },
      'unsupported_feature',
    ],
    ['an empty prepaid balance', { status: 402, word: 'RESOURCE_EXHAUSTED', message: plan }, 'billing'],
    ['a project without billing', { ...denied, details: [info('BILLING_DISABLED')] }, 'billing'],
    ['a missing permission', denied, 'permission'],
    ['an unknown model', { status: 404, word: 'NOT_FOUND' }, 'model_not_found'],
    ['a limit per minute', limited(quota(perMinute), help), 'rate_limit'],
    ['a limit of a day', limited(quota(perDay), help), 'quota_period'],
    ['a limit of a day on tokens', limited(quota(tokensPerDay)), 'quota_period'],
    [
      'a limit of a day named the older way',
      limited(info('RATE_LIMIT_EXCEEDED', { quota_limit: 'RequestsPerDayPerUserPerTier' })),
      'quota_period',
    ],
    ['a limit of a month', limited(quota({ quotaId: 'GroundedRequestsPerMonthPerProject' })), 'quota_period'],
    ['a limit of zero', limited(quota(never)), 'permission'],
    ['a limit of zero as a number', limited(quota({ ...perDay, quotaValue: 0 })), 'permission'],
    [
      'a limit of zero that only the text names',
      { ...limited(quota({ quotaId: perDay.quotaId })), message: `${plan}\n* Quota exceeded, limit: 0, model: x` },
      'permission',
    ],
    [
      'a limit of twenty in the text',
      { ...limited(quota(perMinute)), message: `${plan}\n* Quota exceeded, limit: 20, model: x` },
      'rate_limit',
    ],
    ['a quota nobody knows', limited(quota({ quotaId: 'SomethingElse' })), 'rate_limit'],
    ['a limit without details', limited(), 'rate_limit'],
    ['a day and a minute: the worse', limited(quota(perMinute, perDay)), 'quota_period'],
    ['a day and a minute in another order', limited(quota(perDay), quota(perMinute)), 'quota_period'],
    ['zero and a minute: the worse', limited(quota(never, perMinute)), 'permission'],
    ['a spending cap', { ...exhausted, message: 'Your project has exceeded its monthly spending cap.' }, 'billing'],
    ['empty prepay credits', { ...exhausted, message: 'Your prepayment credits are depleted.' }, 'billing'],
    ['a fault of theirs', { status: 500, word: 'INTERNAL' }, 'server_error'],
    ['an overload', { status: 503, word: 'UNAVAILABLE', message: 'The model is overloaded.' }, 'overloaded'],
    ['a timeout', { status: 504, word: 'DEADLINE_EXCEEDED' }, 'timeout'],
  ])('%s', ([, answer, kind]) => {
    expect(failureOf(answer)).toMatchObject({ kind, httpStatus: answer.status });
    const inList = read(JSON.stringify([bodyOf(answer)]), answer.status);
    expect(inList).toEqual(failureOf(answer));
  });

  test.for<[string, Answer, string | undefined]>([
    ['a suspended project', { ...denied, details: [info('CONSUMER_SUSPENDED')] }, 'account'],
    ['a project that has not enabled the API', { ...denied, details: [info('SERVICE_DISABLED')] }, 'account'],
    ['a key that is not meant for the API', { ...denied, details: [info('API_KEY_SERVICE_BLOCKED')] }, 'credential'],
    ['a region that needs billing', { ...precondition, message: 'Please enable billing on your project' }, 'account'],
    ['a region', precondition, undefined],
    ['a limit of zero', limited(quota(never)), 'account_model'],
    ['a day of one model', limited(quota(perDay)), undefined],
    [
      'a day of one model that only the dimensions name',
      limited(quota({ quotaId: 'RequestsPerDayPerProject', quotaDimensions: { model: 'm' } })),
      undefined,
    ],
    ['a day of the whole project', limited(quota({ quotaId: 'RequestsPerDayPerProject' })), 'account'],
  ])('takes out what it means: %s', ([, answer, scope]) => {
    expect(failureOf(answer).scope).toBe(scope);
  });
});

describe('the wait after an error of Gemini', () => {
  test.for<[string, Answer, number | null]>([
    ['a minute: as long as it says', limited(quota(perMinute), retryIn('22s')), 22_000],
    ['a fraction of a second', limited(retryIn('8.941621227s'), quota(perMinute)), 8_942],
    ['a time in the text', { ...limited(), message: 'Please retry in 45.5s.' }, 45_500],
    ['nothing named', limited(quota(perMinute)), null],
    ['a day: until midnight Pacific, not the seconds it says', limited(quota(perDay), retryIn('22s')), untilMidnightMs],
    ['a day of the project', limited(quota({ quotaId: 'RequestsPerDay' }), retryIn('22s')), untilMidnightMs],
    ['a month: unknown', limited(quota({ quotaId: 'RequestsPerMonth' }), retryIn('22s')), null],
    ['never: the seconds it says mean nothing', limited(quota(never), retryIn('22s')), null],
    ['no money', { status: 402, details: [retryIn('22s')] }, null],
    ['an overload', { status: 503, word: 'UNAVAILABLE', details: [retryIn('3s')] }, 3_000],
  ])('%s', ([, answer, retryAfterMs]) => {
    expect(failureOf(answer).retryAfterMs).toBe(retryAfterMs);
  });
});

describe('what is read of an error of Gemini', () => {
  test.for<[string, string, number, object, string]>([
    ['a page for a wrong address', '<!doctype html><title>404</title>', 404, { 'content-type': 'text/html' }, 'config'],
    ['an empty body', '', 503, {}, 'overloaded'],
    ['JSON of another shape', '"no"', 500, {}, 'server_error'],
    ['details of another shape', '{"error":{"code":429,"details":[1,{"violations":2}]}}', 429, {}, 'rate_limit'],
  ])('%s', ([, body, status, headers, kind]) => {
    expect(read(body, status, headers)).toMatchObject({ kind, httpStatus: status });
  });

  test('its message names status and code, and nothing of the text', () => {
    const bad = { ...invalid, message: 'API key not valid: AIza-secret', details: [info('API_KEY_INVALID')] };
    expect(failureOf(bad).message).toBe('HTTP 400 api_key_invalid');
    expect(failureOf(limited(quota(perDay))).message).toBe('HTTP 429 per_day');
    expect(failureOf({ ...invalid, message: 'secret prompt' }).message).toBe('HTTP 400 invalid_argument');
  });
});

describe('an error inside an answer of status 200', () => {
  test.for<[string, Answer, object]>([
    ['is read by the status it names', { status: 503, word: 'UNAVAILABLE' }, { kind: 'overloaded' }],
    ['keeps the delay', limited(quota(perMinute), retryIn('7s')), { kind: 'rate_limit', retryAfterMs: 7_000 }],
    ['waits for the end of the day', limited(quota(perDay), retryIn('7s')), { retryAfterMs: 20 * 3_600_000 }],
    ['keeps the scope', limited(quota(never)), { kind: 'permission', scope: 'account_model' }],
    ['is a fault of theirs without a status', { status: 0 }, { kind: 'server_error' }],
    ['is a fault of theirs with a strange status', { status: 700 }, { kind: 'server_error' }],
  ])('%s', ([, answer, expected]) => {
    expect(failureInAnswer(bodyOf(answer), nowMs)).toMatchObject({ httpStatus: 200, ...expected });
    expect(failureInAnswer([bodyOf(answer)], nowMs)).toMatchObject(expected);
  });
});

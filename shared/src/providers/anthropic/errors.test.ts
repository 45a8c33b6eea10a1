/** Rows of the reference's table for Anthropic: status, `error.type`, `error.details.error_code`, text -> kind, scope. */
import { describe, expect, test } from 'vitest';
import type { FailureKind, PauseScope } from '../../domain/failure.ts';
import { failureInAnswer, readError } from './errors.ts';

const nowMs = Date.parse('2026-11-21T12:00:00Z');
interface Answer {
  readonly status: number;
  readonly type?: string;
  readonly code?: string;
  readonly message?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
const bodyOf = ({ type, code, message = 'a message' }: Omit<Answer, 'status'>) => ({
  type: 'error',
  error: { type, message, ...(code === undefined ? {} : { details: { error_code: code } }) },
  request_id: 'req_1',
});
const failureOf = ({ status, headers = {}, ...answer }: Answer) =>
  readError({ status, headers, body: JSON.stringify(bodyOf(answer)) }, nowMs);
const invalid = { status: 400, type: 'invalid_request_error' } as const;
const limited = { status: 429, type: 'rate_limit_error' } as const;

type Row = readonly [name: string, answer: Answer, kind: FailureKind, scope?: PauseScope];
const rows: readonly Row[] = [
  ['a long prompt', { ...invalid, message: 'prompt is too long: 210000 tokens > 200000 maximum' }, 'context_length'],
  [
    'a long prompt with its answer',
    { ...invalid, message: 'input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000' },
    'context_length',
  ],
  [
    'a longer answer than the model writes',
    { ...invalid, message: 'max_tokens: 99999 > 64000, which is the maximum allowed number of output tokens for x' },
    'unsupported_feature',
  ],
  ['a spend limit', { ...invalid, message: 'Your workspace has reached its spend limit' }, 'billing', 'account'],
  ['a usage limit', { ...invalid, message: 'You have reached your specified API usage limits.' }, 'billing', 'account'],
  ['an empty credit', { ...invalid, message: 'Your credit balance is too low to access it.' }, 'billing', 'account'],
  ['an organisation on hold', { ...invalid, code: 'organization_on_hold' }, 'auth', 'account'],
  ['a disabled key of the customer', { ...invalid, code: 'cmek_key_disabled' }, 'auth'],
  ['a rule for one client', { ...invalid, code: 'claude_code_not_enabled' }, 'auth'],
  ['a sampling parameter', { ...invalid, message: '`temperature` may not be set' }, 'unsupported_feature'],
  ['a prefill', { ...invalid, message: 'Prefilling assistant messages is not supported' }, 'unsupported_feature'],
  ['a forced tool', { ...invalid, message: 'tool_choice: only "auto" is allowed' }, 'unsupported_feature'],
  ['a thinking budget', { ...invalid, message: 'thinking: budget is not accepted' }, 'unsupported_feature'],
  ['any other invalid request', { ...invalid, message: 'messages: at least one is required' }, 'invalid_request'],
  ['a bad key', { status: 401, type: 'authentication_error' }, 'auth'],
  ['a bill', { status: 402, type: 'billing_error' }, 'billing', 'account'],
  ['an unpaid bill', { status: 402, type: 'billing_error', code: 'linked_organization_unpaid' }, 'billing', 'account'],
  ['a missing permission', { status: 403, type: 'permission_error' }, 'permission'],
  ['an unknown model', { status: 404, type: 'not_found_error', message: 'model: nope' }, 'model_not_found'],
  ['a conflict', { status: 409, type: 'conflict_error' }, 'server_error'],
  ['too many bytes', { status: 413, type: 'request_too_large' }, 'too_large'],
  ['too many bytes after decoding', { ...invalid, code: 'request_body_too_large_after_decoding' }, 'too_large'],
  ['a rate limit', limited, 'rate_limit'],
  ['usage that grew too fast', { ...limited, code: 'ramp_limit_exceeded' }, 'rate_limit'],
  ['usage that grew too fast, by type', { status: 429, type: 'ramp_limit_exceeded' }, 'rate_limit'],
  ['an enforced spend limit', { ...limited, code: 'enforced_spend_limit_reached' }, 'billing', 'account'],
  ['a spend limit of the contract', { ...limited, code: 'contract_spend_limit_reached' }, 'billing', 'account'],
  ['a fault of theirs', { status: 500, type: 'api_error' }, 'server_error'],
  ['a key store out of reach', { status: 503, type: 'api_error', code: 'cmek_key_unreachable' }, 'server_error'],
  ['a key store without context', { status: 503, type: 'api_error', code: 'cmek_context_unavailable' }, 'server_error'],
  ['a timeout', { status: 504, type: 'timeout_error' }, 'timeout'],
  ['an overload', { status: 529, type: 'overloaded_error' }, 'overloaded'],
];

describe('an error of Anthropic', () => {
  test.for(rows)('%s', ([, answer, kind, scope]) => {
    const { message: _, ...failure } = failureOf(answer);
    expect(failure).toEqual({
      kind,
      httpStatus: answer.status,
      retryAfterMs: null,
      ...(scope === undefined ? {} : { scope }),
    });
  });

  test.for(rows)('means the same inside an answer of status 200: %s', ([, answer, kind, scope]) => {
    expect(failureInAnswer(bodyOf(answer), nowMs)).toMatchObject({
      kind,
      httpStatus: 200,
      ...(scope === undefined ? {} : { scope }),
    });
  });

  test.for<[string, number, string, FailureKind]>([
    ['an overload', 529, '', 'overloaded'],
    ['a key store', 503, '{"error":{"details":{"error_code":"cmek_key_unreachable"}}}', 'server_error'],
    ['a gateway', 502, 'bad gateway', 'server_error'],
    ['a page of a proxy', 404, '<!doctype html><p>Not found</p>', 'config'],
  ])('without a body of theirs is read by its status: %s', ([, status, body, kind]) => {
    expect(readError({ status, headers: {}, body }, nowMs).kind).toBe(kind);
  });

  test('of a new type inside an answer is a fault of theirs', () => {
    expect(failureInAnswer(bodyOf({ type: 'new_error' }), nowMs)).toMatchObject({
      kind: 'server_error',
      httpStatus: 200,
    });
  });

  test.for<[string, Answer, number | null]>([
    ['the header', { ...limited, headers: { 'retry-after': '12' } }, 12_000],
    [
      'the header, for usage that grew too fast',
      { ...limited, code: 'ramp_limit_exceeded', headers: { 'retry-after': '30' } },
      30_000,
    ],
    ['the header, for an overload', { status: 529, type: 'overloaded_error', headers: { 'retry-after': '3' } }, 3_000],
    [
      'the reset of the limit that is used up',
      {
        ...limited,
        headers: {
          'anthropic-ratelimit-requests-remaining': '40',
          'anthropic-ratelimit-requests-reset': '2026-11-21T12:00:59Z',
          'anthropic-ratelimit-output-tokens-remaining': '0',
          'anthropic-ratelimit-output-tokens-reset': '2026-11-21T12:00:07Z',
        },
      },
      7_000,
    ],
    ['nothing', limited, null],
  ])('says when to come back by %s', ([, answer, expected]) => {
    expect(failureOf(answer).retryAfterMs).toBe(expected);
  });

  test('is told by status and code, and never by its text', () => {
    const failure = failureOf({ ...invalid, code: 'organization_on_hold', message: 'sk-ant-secret and a prompt' });
    expect(failure.message).toBe('HTTP 400 organization_on_hold');
  });
});

import { describe, expect, test } from 'vitest';
import {
  classify,
  type ErrorBody,
  type ErrorRow,
  errorMessage,
  errorReader,
  insideReader,
  readErrorBody,
} from './error-body.ts';

const empty = { code: '', type: '', detail: '', param: '' };
const read = (body: unknown) => readErrorBody(typeof body === 'string' ? body : JSON.stringify(body));
const longWord = 'X'.repeat(500);

describe('readErrorBody', () => {
  test.for<[string, unknown, Partial<ErrorBody>]>([
    [
      'reads the shape of OpenAI',
      { error: { message: 'm', type: 'Requests', param: 'Model', code: 'Rate_Limit' } },
      { type: 'requests', param: 'model', code: 'rate_limit' },
    ],
    ['reads a flat error', { object: 'error', type: 't', code: '1300' }, { type: 't', code: '1300' }],
    [
      'reads a numeric code',
      { error: { code: 503, type: 'unavailable_error' } },
      { type: 'unavailable_error', code: '503' },
    ],
    [
      'reads the code inside details',
      { error: { type: 't', details: { error_code: 'E' } } },
      { type: 't', detail: 'e' },
    ],
    ['reads the error type of OpenRouter', { error: { metadata: { error_type: 'T' } } }, { type: 't' }],
    ['prefers the type of the error', { error: { type: 'a', metadata: { error_type: 'b' } } }, { type: 'a' }],
    [
      'reads the error inside the error of Azure',
      { error: { code: 'x', innererror: { code: 'I' } } },
      { code: 'x', detail: 'i' },
    ],
    ['reads the limit source of OpenRouter', { error: { metadata: { limit_source: 'L' } } }, { detail: 'l' }],
    [
      'reads flagged input from its parts',
      { error: { metadata: { flagged_input: 'x' } } },
      { detail: 'input_flagged' },
    ],
    ['reads flagged input from its reasons', { error: { metadata: { reasons: [] } } }, { detail: 'input_flagged' }],
    ['reads a guardrail from its patterns', { error: { metadata: { patterns: [] } } }, { detail: 'guardrail_blocked' }],
    ['unwraps a list', [{ error: { code: 429 } }], { code: '429' }],
    ['takes objects in place of words for nothing', { error: { code: {}, type: [], param: null } }, {}],
    ['takes a list in place of details for nothing', { error: { details: [{ error_code: 'e' }] } }, {}],
    ['cuts words', { error: { code: longWord } }, { code: 'x'.repeat(100) }],
    ['reads nothing from a text in quotes', '"oops"', {}],
    ['reads nothing from null', 'null', {}],
    ['reads nothing from an empty list', '[]', {}],
  ])('%s', ([, body, expected]) => {
    expect(read(body)).toMatchObject({ ...empty, ...expected });
  });

  test.for<[string, unknown, string]>([
    ['the message of the error', { error: { message: 'The Model' } }, 'the model'],
    ['an error that is a text', { error: 'Not Found' }, 'not found'],
    ['the message beside the error', { message: 'Too Many' }, 'too many'],
    ['a detail that is a text', { detail: 'Not Authenticated' }, 'not authenticated'],
    ['a list of details', { detail: [{ msg: 'Extra Inputs' }] }, 'extra inputs'],
    ['a body that is no JSON', '<html>Bad Gateway</html>', 'bad gateway'],
  ])('matches by %s', ([, body, words]) => {
    expect(read(body).text).toContain(words);
  });

  test.for([
    ['of JSON', { error: { message: longWord.repeat(100) } }],
    ['of anything else', longWord.repeat(100)],
  ] as const)('reads a bounded part %s', ([, body]) => {
    expect(read(body).text.length).toBe(8_192);
  });
});

describe('classify', () => {
  const body: ErrorBody = { code: 'c', type: 't', detail: 'd_1', param: '', text: 'some text' };
  test.for<[string, ErrorRow, number, string]>([
    ['by status', { status: [418, 400], kind: 'refusal' }, 400, 'refusal'],
    ['not by another status', { status: [418], kind: 'refusal' }, 400, 'invalid_request'],
    ['by code', { code: ['x', 'c'], kind: 'refusal' }, 400, 'refusal'],
    ['not by another code', { code: ['x'], kind: 'refusal' }, 400, 'invalid_request'],
    ['by type', { type: ['t'], kind: 'refusal' }, 400, 'refusal'],
    ['not by another type', { type: ['x'], kind: 'refusal' }, 400, 'invalid_request'],
    ['by detail', { detail: ['d_1'], kind: 'refusal' }, 400, 'refusal'],
    ['not by another detail', { detail: ['d_2'], kind: 'refusal' }, 400, 'invalid_request'],
    ['by the start of the detail', { detailPrefix: 'd_', kind: 'refusal' }, 400, 'refusal'],
    ['not by another start of the detail', { detailPrefix: 'e_', kind: 'refusal' }, 400, 'invalid_request'],
    ['by text', { text: /some/, kind: 'refusal' }, 400, 'refusal'],
    ['not by another text', { text: /other/, kind: 'refusal' }, 400, 'invalid_request'],
    [
      'only by all conditions of a row',
      { status: [400], code: ['c'], type: ['x'], kind: 'refusal' },
      400,
      'invalid_request',
    ],
  ])('matches a row %s', ([, row, status, expected]) => {
    expect(classify(status, body, [row])).toEqual({ kind: expected });
  });

  test('lets the first row win', () => {
    expect(
      classify(400, body, [
        { code: ['c'], kind: 'auth' },
        { type: ['t'], kind: 'billing' },
      ]),
    ).toEqual({ kind: 'auth' });
  });

  test('says what a row takes out', () => {
    expect(classify(400, body, [{ code: ['c'], kind: 'billing', scope: 'account' }])).toEqual({
      kind: 'billing',
      scope: 'account',
    });
  });

  test.for([
    [400, 'invalid_request'],
    [401, 'auth'],
    [402, 'billing'],
    [403, 'permission'],
    [404, 'model_not_found'],
    [408, 'timeout'],
    [409, 'server_error'],
    [413, 'too_large'],
    [418, 'unknown'],
    [422, 'invalid_request'],
    [424, 'server_error'],
    [425, 'server_error'],
    [429, 'rate_limit'],
    [498, 'capacity_tier'],
    [499, 'cancelled'],
    [500, 'server_error'],
    [501, 'unsupported_feature'],
    [502, 'server_error'],
    [503, 'overloaded'],
    [504, 'timeout'],
    [524, 'timeout'],
    [529, 'overloaded'],
    [302, 'unknown'],
    [599, 'server_error'],
  ] as const)('takes status %i alone for %s', ([status, expected]) => {
    expect(classify(status, { ...body, text: '' }, [])).toEqual({ kind: expected });
  });
});

describe('errorMessage', () => {
  test.for<[string, Partial<ErrorBody>, string]>([
    ['names the status alone', {}, 'HTTP 400'],
    ['names the most precise word', { detail: 'd', code: 'c', type: 't' }, 'HTTP 400 d'],
    ['names the code before the type', { code: 'c', type: 't' }, 'HTTP 400 c'],
    ['names the type when there is no code', { type: 't' }, 'HTTP 400 t'],
    ['does not name the status twice', { code: '400', type: 't' }, 'HTTP 400 t'],
    ['passes nothing on that is not one word', { code: 'my prompt is', type: 't' }, 'HTTP 400 t'],
    ['passes no long word on, which may be a key', { code: 'k'.repeat(65) }, 'HTTP 400'],
    ['never shows the text', { text: 'a prompt' }, 'HTTP 400'],
  ])('%s', ([, change, expected]) => {
    expect(errorMessage(400, { ...empty, text: '', ...change })).toBe(expected);
  });
});

describe('a reader of errors', () => {
  const nowMs = Date.parse('2026-11-21T12:00:00Z');
  const rows: readonly ErrorRow[] = [{ code: ['broke'], kind: 'billing', scope: 'account' }];
  const error = { code: 'broke', metadata: { resets_at: '2026-11-21T12:00:09Z' } };
  const billing = { kind: 'billing', scope: 'account', retryAfterMs: 9_000 };

  test('knows the kind, what it takes out, and the wait', () => {
    const read = errorReader(rows);
    const response = { status: 402, headers: {}, body: JSON.stringify({ error }) };
    expect(read(response, nowMs)).toEqual({ ...billing, httpStatus: 402, message: 'HTTP 402 broke' });
  });

  test('obeys a provider that wants to be asked no more', () => {
    const read = errorReader(rows);
    expect(read({ status: 500, headers: { 'x-should-retry': 'false' }, body: '' }, nowMs).isFinalHere).toBe(true);
    expect(read({ status: 500, headers: { 'x-should-retry': 'true' }, body: '' }, nowMs).isFinalHere).toBeUndefined();
  });

  test.for([
    ['by its type', { 'content-type': 'text/html' }, ''],
    ['by its beginning', {}, ' <!DOCTYPE html><p>Not found</p>'],
  ] as const)('takes a page for a wrong address, known %s', ([, headers, body]) => {
    expect(errorReader(rows)({ status: 404, headers, body }, nowMs).kind).toBe('config');
    expect(errorReader(rows)({ status: 502, headers, body }, nowMs).kind).toBe('server_error');
  });

  test('inside an answer reads the body alone', () => {
    const read = insideReader(rows, () => 402);
    expect(read({ error }, nowMs)).toEqual({ ...billing, httpStatus: 200, message: 'HTTP 402 broke' });
  });
});

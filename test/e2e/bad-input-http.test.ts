/**
 * Bad input, part 1: HTTP, JSON and API keys (rows A1-A27, A35, A42 and K1-K6 of the catalogue).
 *
 * Every row is refused with one exact status and code, as JSON, and writes nothing.
 */
import { createHash } from 'node:crypto';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { createApiKey } from '@waybill/shared/security/api-key.ts';
import { addApiKey, defaultTenantId, type Scope } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectRefusal, type RefusingServers, startRefusingServers } from '../support/bad-input.ts';
import { type Answer, exchange, exchangeBytes, type WireRequest } from '../support/http-exchange.ts';

interface Context extends RefusingServers {
  readonly keys: Readonly<Record<'revoked' | 'expired' | 'reader' | 'writer' | 'hooks', string>>;
}
/** A request for `exchange`, or a function that sends bytes of its own. */
type Row = readonly [
  name: string,
  request: WireRequest | ((context: Context) => WireRequest | string | Buffer),
  status: number,
  code: string,
];

const valid = { model: 'default', prompt: 'hello' };
const text = JSON.stringify(valid);
const typed = (type: string | null): WireRequest => ({ headers: { 'content-type': type }, body: text });
const encoded = (encoding: string, body: Buffer | string = text): WireRequest => ({
  headers: { 'content-encoding': encoding },
  body,
});
const keyed = (authorization: string | string[] | null, more: WireRequest = {}): WireRequest => ({
  ...more,
  headers: { ...more.headers, authorization },
});
const withKey = (name: keyof Context['keys'], request: WireRequest) => (context: Context) =>
  keyed(`Bearer ${context.keys[name]}`, request);
const head = (context: Context, lines: readonly string[], start = 'POST /v1/jobs HTTP/1.1'): string =>
  [start, 'Host: localhost', `Authorization: Bearer ${context.waybill.adminKey}`, ...lines, '', ''].join('\r\n');
const json = 'Content-Type: application/json';
const limit = 32 * 1024 * 1024;

const bodies: readonly Row[] = [
  ['A1 no body', { method: 'POST' }, 400, 'body_required'],
  ['A1 an empty body', { body: '' }, 400, 'body_required'],
  ['A1 white space alone', { body: ' \n\t' }, 400, 'body_required'],
  ['A1 an empty body in bulk', { path: '/v1/jobs/bulk', body: '' }, 400, 'body_required'],
  ['A2 JSON that ends too early', { body: '{"a":' }, 400, 'invalid_json'],
  ['A3 NaN', { body: '{"model":NaN}' }, 400, 'invalid_json'],
  ['A3 Infinity', { body: '{"model":Infinity}' }, 400, 'invalid_json'],
  ['A3 single quotes', { body: "{'model':'a'}" }, 400, 'invalid_json'],
  ['A3 a comment', { body: '{/* no */"model":"a"}' }, 400, 'invalid_json'],
  ['A3 a trailing comma', { body: '{"model":"a",}' }, 400, 'invalid_json'],
  ['A3 two documents', { body: `${text}${text}` }, 400, 'invalid_json'],
  ['A4 null', { body: 'null' }, 400, 'body_must_be_object'],
  ['A4 a string', { body: '"x"' }, 400, 'body_must_be_object'],
  ['A4 a number', { body: '1' }, 400, 'body_must_be_object'],
  ['A4 a list', { body: `[${text}]` }, 400, 'body_must_be_object'],
  ['A4 a list in bulk', { path: '/v1/jobs/bulk', body: `[${text}]` }, 400, 'body_must_be_object'],
  ['A5 text/plain', typed('text/plain'), 415, 'unsupported_media_type'],
  ['A5 a form', typed('application/x-www-form-urlencoded'), 415, 'unsupported_media_type'],
  ['A5 no type', typed(null), 415, 'unsupported_media_type'],
  ['A5 a near miss', typed('application/jsonl'), 415, 'unsupported_media_type'],
  ['A6 utf-7', typed('application/json; charset=utf-7'), 415, 'unsupported_charset'],
  ['A6 utf-16', typed('application/json; charset="UTF-16"'), 415, 'unsupported_charset'],
  ['A7 a stray byte', { body: Buffer.from('{"model":"\xff"}', 'latin1') }, 400, 'invalid_utf8'],
  ['A7 an overlong slash', { body: Buffer.from('{"model":"\xc0\xaf"}', 'latin1') }, 400, 'invalid_utf8'],
  ['A9 a length over the limit', (c) => head(c, [json, `Content-Length: ${limit + 1}`]), 413, 'payload_too_large'],
  [
    'A9 chunks over the limit',
    (c) => {
      const start = `${head(c, [json, 'Transfer-Encoding: chunked'])}${(limit + 1).toString(16)}\r\n`;
      return Buffer.concat([Buffer.from(start), Buffer.alloc(limit + 1, 0x20), Buffer.from('\r\n0\r\n\r\n')]);
    },
    413,
    'payload_too_large',
  ],
  ['A10 a gzip bomb', () => encoded('gzip', gzipSync(Buffer.alloc(2 * limit))), 413, 'payload_too_large'],
  ['A10 a brotli bomb', () => encoded('br', brotliCompressSync(Buffer.alloc(2 * limit))), 413, 'payload_too_large'],
  ['A11 zstd', encoded('zstd'), 415, 'unsupported_encoding'],
  ['A11 gzip twice', encoded('gzip, gzip'), 415, 'unsupported_encoding'],
  ['A11 an unknown encoding', encoded('rot13'), 415, 'unsupported_encoding'],
  ['A11 text that claims to be gzip', encoded('gzip'), 400, 'invalid_encoding'],
  ['A11 gzip cut off', encoded('gzip', gzipSync(text).subarray(0, -9)), 400, 'invalid_encoding'],
  ['A12 100,000 lists deep', { body: '['.repeat(100_000) }, 400, 'json_too_deep'],
  ['A12 65 levels in a prompt', { body: `{"a":${'['.repeat(64)}${']'.repeat(64)}}` }, 400, 'json_too_deep'],
  [
    'A13 90,000 keys',
    { body: `{${Array.from({ length: 90_000 }, (_, n) => `"k${n}":1`).join()}}` },
    400,
    'too_many_properties',
  ],
  ['A13 1,000,000 items', { body: `{"model":[${'1,'.repeat(999_999)}1]}` }, 400, 'too_many_items'],
  ['A15 __proto__', { body: '{"__proto__":{"x":1},"model":"default","prompt":"a"}' }, 400, 'forbidden_key'],
  ['A15 __proto__ escaped', { body: '{"\\u005f_proto__":{"x":1}}' }, 400, 'forbidden_key'],
  ['A15 __proto__ in metadata', { body: '{"metadata":{"__proto__":"x"}}' }, 400, 'forbidden_key'],
  ['A15 constructor', { body: { ...valid, constructor: { prototype: { x: 1 } } } }, 400, 'unknown_field'],
  ['A15 constructor in metadata', { body: { ...valid, metadata: { constructor: 'x' } } }, 400, 'forbidden_key'],
  ['A15 toString in metadata', { body: { ...valid, metadata: { toString: 'x' } } }, 400, 'forbidden_key'],
  ['A16 beyond 2^53', { body: '{"seed":9007199254740993}' }, 400, 'number_out_of_range'],
  ['A16 1e400', { body: '{"seed":1e400}' }, 400, 'number_out_of_range'],
  ['A16 -0', { body: '{"seed":-0}' }, 400, 'number_out_of_range'],
  ['A16 1e-400', { body: '{"seed":1e-400}' }, 400, 'number_out_of_range'],
];

const transport: readonly Row[] = [
  ['A20 a header of 20 KB', (c) => head(c, [`X-Long: ${'x'.repeat(20_000)}`]), 431, 'headers_too_large'],
  [
    'A20 4,000 headers',
    (c) =>
      head(
        c,
        Array.from({ length: 4_000 }, (_, n) => `X-${n}: 1`),
      ),
    431,
    'headers_too_large',
  ],
  ['A21 two Content-Length', (c) => head(c, [json, 'Content-Length: 2', 'Content-Length: 3']), 400, 'invalid_http'],
  [
    'A21 Content-Length and Transfer-Encoding',
    (c) => `${head(c, [json, 'Content-Length: 2', 'Transfer-Encoding: chunked'])}0\r\n\r\n`,
    400,
    'invalid_http',
  ],
  ['A21 no Host', () => 'GET /v1/jobs HTTP/1.1\r\n\r\n', 400, 'invalid_host'],
  ['A21 HTTP/1.0 without Host', () => 'GET /v1/jobs HTTP/1.0\r\n\r\n', 400, 'invalid_host'],
  ['A21 two Hosts', (c) => head(c, ['Host: other'], 'GET /v1/jobs HTTP/1.1'), 400, 'duplicate_header'],
  ['A21 bytes that are not HTTP', () => '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', 400, 'invalid_http'],
  ['A21 a space in a header name', (c) => head(c, ['X Y: 1']), 400, 'invalid_http'],
  ['A22 two Authorization', (c) => head(c, ['Authorization: Bearer x']), 400, 'duplicate_header'],
  ['A22 two Content-Type', (c) => head(c, [json, 'Content-Type: text/plain']), 400, 'duplicate_header'],
  ['A22 two Idempotency-Key', (c) => head(c, ['Idempotency-Key: a', 'Idempotency-Key: b']), 400, 'duplicate_header'],
  ['A23 a Host with a path', { headers: { host: 'localhost:4000/#@attacker' } }, 400, 'invalid_host'],
  ['A23 a Host with a user', { headers: { host: 'user@localhost' } }, 400, 'invalid_host'],
  ['A25 DELETE', { method: 'DELETE' }, 405, 'method_not_allowed'],
  ['A25 TRACE', { method: 'TRACE', headers: { 'content-type': null } }, 405, 'method_not_allowed'],
  ['A25 OPTIONS', { method: 'OPTIONS' }, 405, 'method_not_allowed'],
  [
    'A25 a method override',
    { method: 'PUT', headers: { 'x-http-method-override': 'POST' }, body: text },
    405,
    'method_not_allowed',
  ],
  ['A25 GET of bulk', { path: '/v1/jobs/bulk', method: 'PUT' }, 405, 'method_not_allowed'],
  ['A25 POST of a job', (c) => ({ path: `/v1/jobs/${c.succeededId}`, body: text }), 405, 'method_not_allowed'],
  ['A25 GET of cancel', (c) => ({ path: `/v1/jobs/${c.succeededId}/cancel` }), 405, 'method_not_allowed'],
  ['A25 GET of retry', (c) => ({ path: `/v1/jobs/${c.failedId}/retry` }), 405, 'method_not_allowed'],
  ['A25 a new webhook secret', { path: '/v1/webhook-endpoints/default', body: '{}' }, 405, 'method_not_allowed'],
  ['A25 an unknown method', (c) => head(c, [], 'BREW /v1/jobs HTTP/1.1'), 400, 'invalid_http'],
  ['A26 %zz in an id', { path: '/v1/jobs/%zz' }, 400, 'invalid_path'],
  ['A26 %zz', { path: '/%zz' }, 404, 'not_found'],
  ['A26 encoded dots', { path: '/..%2f..%2fetc' }, 404, 'not_found'],
  ['A26 dots', { path: '/v1/jobs/../../etc/passwd' }, 404, 'not_found'],
  ['A26 two slashes', { path: '//v1/jobs' }, 404, 'not_found'],
  ['A26 a trailing dot', { path: '/v1/jobs.' }, 404, 'not_found'],
  ['A26 capitals', { path: '/V1/Jobs' }, 404, 'not_found'],
  ['A26 %00', { path: '/v1/jobs/%00' }, 404, 'not_found'],
  ['A26 another path, without a key', keyed(null, { path: '/v2/jobs' }), 404, 'not_found'],
  ['A35 an empty key', { headers: { 'idempotency-key': '' }, body: text }, 400, 'invalid_idempotency_key'],
  ['A35 an empty quoted key', { headers: { 'idempotency-key': '""' }, body: text }, 400, 'invalid_idempotency_key'],
  [
    'A35 256 characters',
    { headers: { 'idempotency-key': 'k'.repeat(256) }, body: text },
    400,
    'invalid_idempotency_key',
  ],
  ['A35 not ASCII', { headers: { 'idempotency-key': 'kéy' }, body: text }, 400, 'invalid_idempotency_key'],
  ['A35 a tab', { headers: { 'idempotency-key': 'a\tb' }, body: text }, 400, 'invalid_idempotency_key'],
  ['A35 a line break', (c) => head(c, [json, 'Idempotency-Key: a\rb', 'Content-Length: 2']), 400, 'invalid_http'],
  [
    'A42 Expect with a huge length',
    (c) => head(c, [json, 'Expect: 100-continue', 'Content-Length: 99999999999']),
    413,
    'payload_too_large',
  ],
  ['A42 an unknown expectation', { method: 'POST', headers: { expect: 'tea' } }, 400, 'body_required'],
];

const keys: readonly Row[] = [
  ['K1 no key', keyed(null), 401, 'missing_api_key'],
  ['K1 no key to cancel', keyed(null, { path: '/v1/jobs/x/cancel', method: 'POST' }), 401, 'missing_api_key'],
  ['K1 no key to retry', keyed(null, { path: '/v1/jobs/x/retry', method: 'POST' }), 401, 'missing_api_key'],
  ['K1 no key, and a body', keyed(null, { path: '/v1/jobs/bulk', body: text }), 401, 'missing_api_key'],
  ['K1 no key for the secret', keyed(null, { path: '/v1/webhook-endpoints/default' }), 401, 'missing_api_key'],
  ['K1 an empty bearer', keyed('Bearer '), 401, 'missing_api_key'],
  ['K1 Basic', keyed('Basic YTpi'), 401, 'missing_api_key'],
  ['K1 the key alone', (c) => keyed(c.waybill.adminKey), 401, 'missing_api_key'],
  ['K1 in the query', (c) => keyed(null, { path: `/v1/jobs?api_key=${c.waybill.adminKey}` }), 401, 'missing_api_key'],
  [
    'K1 in another header',
    (c) => keyed(null, { headers: { 'x-api-key': c.waybill.adminKey } }),
    401,
    'missing_api_key',
  ],
  ['K2 another prefix', (c) => keyed(`Bearer ${c.waybill.adminKey.replace('wb_', 'lq_')}`), 401, 'invalid_api_key'],
  ['K2 a bad checksum', (c) => keyed(`Bearer ${flipLast(c.waybill.adminKey)}`), 401, 'invalid_api_key'],
  ['K2 well-formed, of nobody', () => keyed(`Bearer ${createApiKey().text}`), 401, 'invalid_api_key'],
  ['K2 10 KB', keyed(`Bearer ${'k'.repeat(10_000)}`), 401, 'invalid_api_key'],
  ['K2 SQL', keyed("Bearer ' or 1=1--"), 401, 'invalid_api_key'],
  ['K2 NUL', () => 'GET /v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \0\r\n\r\n', 400, 'invalid_http'],
  ['K3 revoked', withKey('revoked', {}), 401, 'api_key_revoked'],
  ['K3 expired', withKey('expired', { body: text }), 401, 'api_key_expired'],
  ['K4 a reader submits', withKey('reader', { body: text }), 403, 'insufficient_scope'],
  ['K4 a reader cancels', withKey('reader', { path: '/v1/jobs/x/cancel', method: 'POST' }), 403, 'insufficient_scope'],
  ['K4 a writer reads', withKey('writer', {}), 403, 'insufficient_scope'],
  [
    'K4 a writer reads the secret',
    withKey('writer', { path: '/v1/webhook-endpoints/default' }),
    403,
    'insufficient_scope',
  ],
  ['K4 a receiver submits', withKey('hooks', { path: '/v1/jobs/bulk', body: text }), 403, 'insufficient_scope'],
  ['K6 a key of a provider', keyed('Bearer sk-proj-canary0123456789abcdef'), 401, 'invalid_api_key'],
];

const table: readonly Row[] = [...bodies, ...transport, ...keys];
const flipLast = (key: string): string => `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`;

let context: Context;
const statuses: number[] = [];

beforeAll(async () => {
  const servers = await startRefusingServers(false);
  const { database } = servers.waybill.server;
  const add = (scopes: readonly Scope[], expiresAt?: Date) =>
    addApiKey(database, { tenantId: defaultTenantId, name: 'test', scopes, ...(expiresAt ? { expiresAt } : {}) });
  const revoked = await add(['jobs:read']);
  await database.kysely
    .updateTable('waybill.api_keys')
    .set({ revoked_at: new Date() })
    .where('id', '=', revoked.id)
    .execute();
  context = {
    ...servers,
    keys: {
      revoked: revoked.text,
      expired: (await add(['jobs:write'], new Date(Date.now() - 1_000))).text,
      reader: (await add(['jobs:read'])).text,
      writer: (await add(['jobs:write'])).text,
      hooks: (await add(['webhooks:read'])).text,
    },
  };
});
afterAll(async () => {
  try {
    await context.expectNothingWritten();
    expect(statuses.filter((status) => status >= 500)).toEqual([]);
    expect(({} as { x?: unknown }).x).toBeUndefined();
    expect(context.waybill.log.filter((line) => line.includes('canary0123456789'))).toEqual([]);
  } finally {
    await context.stop();
  }
});

function send(request: Row[1]): Promise<Answer> {
  const { url, adminKey } = context.waybill;
  const made = typeof request === 'function' ? request(context) : request;
  return typeof made === 'string' || Buffer.isBuffer(made) ? exchangeBytes(url, made) : exchange(url, adminKey, made);
}

test.for(table)('%s', async ([, request, status, code]) => {
  const answer = await send(request);
  statuses.push(answer.status);
  expectRefusal(answer, status, code);
});

test('K2: the answer to a wrong key is the same whatever the key', async () => {
  const digest = createHash('sha256').update('x').digest('hex');
  const answers = await Promise.all(
    ['x', digest, createApiKey().text].map((key) => send(keyed(`Bearer ${key}`, { from: '127.0.0.66' }))),
  );
  const bodies = answers.map(({ text: body }) => body.replaceAll(/req_[0-9a-f]{32}/g, ''));
  expect(new Set(bodies).size).toBe(1);
});

test('K5, A24: the 21st wrong key of an address in a minute is slowed down, a good one never is', async () => {
  const from = '127.0.0.77';
  const wrong = (n: number) =>
    send(keyed(`Bearer wrong-${n}`, { from, headers: { 'x-forwarded-for': `203.0.113.${n}` } }));
  const codes: string[] = [];
  for (let n = 0; n < 25; n += 1)
    codes.push((JSON.parse((await wrong(n)).text) as { error: { code: string } }).error.code);
  expect(codes.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 'invalid_api_key'));
  expect(codes.slice(20)).toEqual(Array.from({ length: 5 }, () => 'too_many_failed_logins'));
  const slowed = await wrong(99);
  expectRefusal(slowed, 429, 'too_many_failed_logins');
  expect(slowed.headers['retry-after']).toBe('60');
  expect((await send({ from })).status).toBe(200);
  expect((await send(keyed('Bearer wrong', { from: '127.0.0.78' }))).status).toBe(401);
});

/**
 * Bad input, part 2: the job itself, bulk, lists, ids, what is not built yet, and webhook addresses
 * (rows A17-A19, A27-A43 and W1-W15 of the catalogue).
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectRefusal, type RefusingServers, startRefusingServers } from '../support/bad-input.ts';
import { type Answer, exchange, type WireRequest } from '../support/http-exchange.ts';

type Row = readonly [
  name: string,
  request: WireRequest | ((servers: RefusingServers) => WireRequest),
  status: number,
  code: string,
];

const valid = { model: 'default', prompt: 'hello' };
const messages = [{ role: 'user', content: 'hello' }];
const job = (more: object): WireRequest => ({ body: { ...valid, ...more } });
const chat = (more: object): WireRequest => ({ body: { body: { model: 'default', messages, ...more } } });
const bulk = (jobs: unknown, more: object = {}): WireRequest => ({ path: '/v1/jobs/bulk', body: { jobs, ...more } });
const get = (path: string): WireRequest => ({ path });
const post = (path: string): WireRequest => ({ path, method: 'POST' });
const record = (count: number, value: unknown = 'v') =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, value]));
const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString();

const fields: readonly Row[] = [
  ['A28 a typing error', job({ modle: 'x' }), 400, 'unknown_field'],
  ['A28 a typing error in the body', chat({ temprature: 1 }), 400, 'unknown_field'],
  ['A28 an old field of OpenAI', chat({ functions: [] }), 400, 'unknown_field'],
  ['A29 a string for a number', chat({ temperature: '0.7' }), 400, 'invalid_type'],
  ['A29 a fraction for an integer', chat({ max_tokens: 1.5 }), 400, 'invalid_type'],
  ['A29 true for a string', job({ prompt: true }), 400, 'invalid_type'],
  ['A29 a number for a duration', job({ expires_in: 30 }), 400, 'invalid_type'],
  ['A29 a duration without a unit', job({ expires_in: '30' }), 400, 'invalid_type'],
  ['A29 a string for metadata', job({ metadata: 'x' }), 400, 'invalid_type'],
  ['A29 an unknown priority', job({ priority: 'urgent' }), 400, 'invalid_value'],
  ['A29 no model', { body: { prompt: 'hello' } }, 400, 'invalid_type'],
  ['A29 nothing at all', { body: {} }, 400, 'invalid_type'],
  ['A29 another method', { body: { method: 'GET', body: { model: 'default', messages } } }, 400, 'invalid_value'],
  ['A29 a role nobody plays', chat({ messages: [{ role: 'robot', content: 'x' }] }), 400, 'invalid_type'],
  ['A30 temperature -1', chat({ temperature: -1 }), 400, 'out_of_range'],
  ['A30 max_tokens 0', chat({ max_tokens: 0 }), 400, 'out_of_range'],
  ['A30 max_tokens 10^12', chat({ max_tokens: 1e12 }), 400, 'out_of_range'],
  ['A30 a timeout beyond 2^31 ms', job({ attempt_timeout: '3000000000ms' }), 400, 'invalid_type'],
  ['A30 a timeout of 25 hours', job({ attempt_timeout: '25h' }), 400, 'out_of_range'],
  ['A30 expires_in 25 days', job({ expires_in: '25d' }), 400, 'out_of_range'],
  ['A30 expires_in 0s', job({ expires_in: '0s' }), 400, 'out_of_range'],
  ['A30 expires_in -5s', job({ expires_in: '-5s' }), 400, 'invalid_type'],
  ['A30 priority 3,000,000', job({ priority: 3_000_000 }), 400, 'invalid_value'],
  ['A30 21 labels', job({ require: Object.keys(record(21)) }), 400, 'out_of_range'],
  ['A30 a model of 257 characters', job({ model: 'm'.repeat(257) }), 400, 'out_of_range'],
  ['A31 an empty prompt', job({ prompt: '' }), 400, 'empty_input'],
  ['A31 white space alone', job({ prompt: ' \n\t ' }), 400, 'empty_input'],
  ['A31 no messages', chat({ messages: [] }), 400, 'empty_input'],
  ['A31 empty messages', chat({ messages: [{ role: 'user', content: '' }] }), 400, 'empty_input'],
  ['A31 an image of 40 MB', () => job({ prompt: 'A'.repeat(40 * 1024 * 1024) }), 413, 'payload_too_large'],
  ['A32 an unknown chain', job({ model: 'gpt-9' }), 404, 'model_not_found'],
  ['A32 an unknown provider', job({ model: 'nobody/gpt-9' }), 404, 'model_not_found'],
  ['A32 a target without a model', job({ model: 'scripted/' }), 404, 'model_not_found'],
  ['A32 constructor', job({ model: 'constructor' }), 404, 'model_not_found'],
  ['A32 __proto__ as a provider', job({ model: '__proto__/x' }), 404, 'model_not_found'],
  ['A17 NUL in a model', job({ model: 'scripted/a\u0000b' }), 404, 'model_not_found'],
  ['A18 half a surrogate pair in a model', job({ model: 'scripted/\ud800' }), 404, 'model_not_found'],
  ['A32 a label no target has', job({ require: ['moon'] }), 400, 'no_eligible_target'],
  ['A32 every provider excluded', job({ exclude_providers: ['scripted'] }), 400, 'no_eligible_target'],
  ['A33 the past', job({ run_at: inDays(-1) }), 400, 'invalid_timestamp'],
  ['A33 the year 9999', job({ run_at: '9999-12-31T23:59:59Z' }), 400, 'invalid_timestamp'],
  ['A33 31 days ahead', job({ run_at: inDays(31) }), 400, 'invalid_timestamp'],
  ['A33 tomorrow', job({ run_at: 'tomorrow' }), 400, 'invalid_timestamp'],
  ['A33 without a zone', job({ run_at: inDays(1).slice(0, -1) }), 400, 'invalid_timestamp'],
  ['A33 a date alone', job({ run_at: inDays(1).slice(0, 10) }), 400, 'invalid_timestamp'],
  ['A33 unix seconds', job({ run_at: 1_790_000_000 }), 400, 'invalid_type'],
  ['A34 17 keys', job({ metadata: record(17) }), 400, 'metadata_limit'],
  ['A34 a key of 65 characters', job({ metadata: { ['k'.repeat(65)]: 'v' } }), 400, 'metadata_limit'],
  ['A34 an empty key', job({ metadata: { '': 'v' } }), 400, 'metadata_limit'],
  ['A34 a value of 513 characters', job({ metadata: { k: 'v'.repeat(513) } }), 400, 'metadata_limit'],
  ['A34 a number', job({ metadata: { k: 1 } }), 400, 'metadata_limit'],
  ['A17 NUL in custom_id', job({ custom_id: 'a\u0000b' }), 400, 'control_character'],
  ['A17 NUL in a metadata key', job({ metadata: { 'a\u0000': 'v' } }), 400, 'control_character'],
  ['A17 NUL in a metadata value', job({ metadata: { k: 'a\u0000' } }), 400, 'control_character'],
  ['A17 NUL in a label', job({ require: ['a\u0000'] }), 400, 'control_character'],
  ['A17 NUL in an excluded provider', job({ exclude_providers: ['a\u0000'] }), 400, 'control_character'],
  ['A18 half a pair in custom_id', job({ custom_id: 'a\ud800' }), 400, 'invalid_unicode'],
  ['A18 half a pair in metadata', job({ metadata: { k: '\udc00' } }), 400, 'invalid_unicode'],
  ['A18 half a pair in an excluded provider', job({ exclude_providers: ['\ud800'] }), 400, 'invalid_unicode'],
  ['A19 zero width in custom_id', job({ custom_id: 'a\u200bb' }), 400, 'control_character'],
  ['A19 RTL override in custom_id', job({ custom_id: 'a\u202eb' }), 400, 'control_character'],
  ['A19 1,000 combining marks', job({ custom_id: `a${'\u0301'.repeat(1_000)}` }), 400, 'out_of_range'],
  ['A19 an empty custom_id', job({ custom_id: '' }), 400, 'out_of_range'],
  ['A43 tenant_id', job({ tenant_id: 'ten_other' }), 400, 'unknown_field'],
  ['A43 status', job({ status: 'succeeded' }), 400, 'unknown_field'],
  ['A43 cost', job({ cost_usd: '0' }), 400, 'unknown_field'],
  ['A43 is_admin', job({ is_admin: true }), 400, 'unknown_field'],
  ['A43 id', job({ id: 'job_00000000000000000000000000000000' }), 400, 'unknown_field'],
  ['A43 batch_id in bulk', bulk([valid], { batch_id: 'x' }), 400, 'unknown_field'],
];

const lists: readonly Row[] = [
  ['bulk without jobs', { path: '/v1/jobs/bulk', body: {} }, 400, 'invalid_type'],
  ['bulk of an object', bulk({ 0: valid }), 400, 'invalid_type'],
  ['bulk of nothing', bulk([]), 422, 'empty_batch'],
  ['bulk of 1,001', bulk(Array.from({ length: 1_001 }, () => valid)), 400, 'too_many_items'],
  ['bulk with null in it', bulk([valid, null]), 400, 'invalid_type'],
  ['bulk, the last one bad', bulk([valid, valid, { ...valid, model: 'nobody' }]), 404, 'model_not_found'],
  ['bulk, one custom_id twice', bulk([1, 1].map(() => ({ ...valid, custom_id: 'same' }))), 422, 'duplicate_custom_id'],
  ['A27 a parameter twice', get('/v1/jobs?status=queued&status=failed'), 400, 'invalid_query'],
  ['A27 brackets', get('/v1/jobs?status[a]=queued'), 400, 'invalid_query'],
  ['A27 51 parameters', get(`/v1/jobs?${new URLSearchParams(renamed(record(51)))}`), 400, 'invalid_query'],
  ['A27 an unknown parameter', get('/v1/jobs?stauts=queued'), 400, 'invalid_query'],
  ['A27 metadata without a name', get('/v1/jobs?metadata.=x'), 400, 'invalid_query'],
  ['A27 NUL in custom_id', get('/v1/jobs?custom_id=a%00'), 400, 'invalid_query'],
  ['A27 NUL in batch_id', get('/v1/jobs?batch_id=%00'), 400, 'invalid_query'],
  ['A27 NUL in metadata', get('/v1/jobs?metadata.k=%00'), 400, 'invalid_query'],
  ['A27 NUL in the name of metadata', get('/v1/jobs?metadata.%00=v'), 400, 'invalid_query'],
  ['A27 a parameter to submit', { ...job({}), path: '/v1/jobs?wait=30s' }, 400, 'invalid_query'],
  ['A27 a parameter to bulk', { ...bulk([valid]), path: '/v1/jobs/bulk?dry_run=1' }, 400, 'invalid_query'],
  ['A27 a parameter to cancel', (s) => post(`/v1/jobs/${s.failedId}/cancel?force=1`), 400, 'invalid_query'],
  ['A27 a parameter to retry', (s) => post(`/v1/jobs/${s.failedId}/retry?now=1`), 400, 'invalid_query'],
  ['A27 a parameter to the secret', get('/v1/webhook-endpoints/default?show=1'), 400, 'invalid_query'],
  ['A27 a parameter to a job', (s) => get(`/v1/jobs/${s.failedId}?include=output`), 400, 'invalid_query'],
  ['a wait of 61 seconds', (s) => get(`/v1/jobs/${s.failedId}?wait=61s`), 400, 'out_of_range'],
  ['a wait without a unit', (s) => get(`/v1/jobs/${s.failedId}?wait=30`), 400, 'out_of_range'],
  ['A39 limit 0', get('/v1/jobs?limit=0'), 400, 'invalid_limit'],
  ['A39 limit -1', get('/v1/jobs?limit=-1'), 400, 'invalid_limit'],
  ['A39 limit 1e9', get('/v1/jobs?limit=1e9'), 400, 'invalid_limit'],
  ['A39 limit 101', get('/v1/jobs?limit=101'), 400, 'invalid_limit'],
  ['A39 limit abc', get('/v1/jobs?limit=abc'), 400, 'invalid_limit'],
  ['A39 limit 0x10', get('/v1/jobs?limit=0x10'), 400, 'invalid_limit'],
  ['A39 no limit', get('/v1/jobs?limit='), 400, 'invalid_limit'],
  ['A39 a forged cursor', (s) => get(`/v1/jobs?cursor=${forged(s.failedId)}`), 400, 'invalid_cursor'],
  ['A39 a cursor of nothing', get('/v1/jobs?cursor='), 400, 'invalid_cursor'],
  ['A39 a cursor of 1 KB', get(`/v1/jobs?cursor=${'A'.repeat(1_024)}`), 400, 'invalid_cursor'],
  ['an unknown status', get('/v1/jobs?status=done'), 400, 'invalid_value'],
  ['A38 dots', get('/v1/jobs/..%2fx'), 404, 'not_found'],
  ['A38 a UUID', get('/v1/jobs/0193a6d8-7c8e-7b59-a0b1-000000000000'), 404, 'not_found'],
  ['A38 well-formed, of nobody', get(`/v1/jobs/job_${'0'.repeat(32)}`), 404, 'not_found'],
  ['A38 a long id', get(`/v1/jobs/${'x'.repeat(10_000)}`), 404, 'not_found'],
  ['A38 a colon', get('/v1/jobs/a:b'), 404, 'not_found'],
  ['A38 a number', post('/v1/jobs/123/cancel'), 404, 'not_found'],
  ['A38 a quote', post(`/v1/jobs/${encodeURIComponent("' or 1=1--")}/retry`), 404, 'not_found'],
  ['A40 cancel a succeeded job', (s) => post(`/v1/jobs/${s.succeededId}/cancel`), 409, 'already_terminal'],
  ['A40 cancel a failed job', (s) => post(`/v1/jobs/${s.failedId}/cancel`), 409, 'already_terminal'],
  ['A40 delete a job', (s) => ({ path: `/v1/jobs/${s.failedId}`, method: 'DELETE' }), 405, 'method_not_allowed'],
  ['A40 retry a succeeded job', (s) => post(`/v1/jobs/${s.succeededId}/retry`), 409, 'not_retryable'],
  [
    'A40 retry a succeeded job elsewhere',
    (s) => ({ ...post(`/v1/jobs/${s.succeededId}/retry`), body: { model: 'gone' } }),
    409,
    'not_retryable',
  ],
];

const routed: readonly Row[] = [
  ['max_cost_usd: a word', job({ max_cost_usd: 'cheap' }), 400, 'out_of_range'],
  ['max_cost_usd: below zero', job({ max_cost_usd: '-0.05' }), 400, 'out_of_range'],
  ['max_cost_usd: a list', job({ max_cost_usd: ['0.05'] }), 400, 'invalid_type'],
  ['conversation: empty', job({ conversation: '' }), 400, 'out_of_range'],
  ['conversation: too long', job({ conversation: 'x'.repeat(201) }), 400, 'out_of_range'],
  ['conversation: invisible', job({ conversation: 'a\u200bb' }), 400, 'control_character'],
  ['conversation: half a pair', job({ conversation: 'a\ud800' }), 400, 'invalid_unicode'],
  ['webhook_events: nobody to tell', job({ webhook_events: ['job.fallback'] }), 400, 'invalid_value'],
  [
    'conversation: embeddings',
    { body: { endpoint: '/v1/embeddings', conversation: 'a', body: { model: 'default', input: 'x' } } },
    400,
    'invalid_value',
  ],
  ['webhook_events: unknown', job({ webhook_events: ['job.succeeded'] }), 400, 'invalid_value'],
  ['webhook_events: too many', job({ webhook_events: Array(9).fill('job.fallback') }), 400, 'out_of_range'],
  ['estimate: no body', post('/v1/jobs/estimate'), 400, 'body_required'],
  ['actions: no body', post('/v1/jobs/actions'), 400, 'body_required'],
  ['explain: no such job', { path: '/v1/jobs/x/explain' }, 404, 'not_found'],
  ['approve: no such job', post('/v1/jobs/x/approve'), 404, 'not_found'],
  ['refuse: no such job', post('/v1/jobs/x/refuse'), 404, 'not_found'],
];

const later: readonly Row[] = [
  ...[
    { stream: true, n: 2 },
    { stream: true, logprobs: true },
    { service_tier: 'flex' },
    { modalities: ['audio'] },
    { audio: { voice: 'alloy', format: 'wav' } },
    { prediction: { type: 'content', content: 'x' } },
    { web_search_options: {} },
    { prompt_cache_retention: '24h' },
    {
      messages: [
        {
          role: 'user',
          content: [{ type: 'file', file: { file_data: 'data:application/pdf;base64,AA==', file_id: 'f' } }],
        },
      ],
    },
  ].map(notYet(chat)),
  ['later: responses', { body: { endpoint: '/v1/responses', body: {} } }, 400, 'unsupported_endpoint'],
  ['later: another url', { body: { url: '/v1/responses', body: {} } }, 400, 'unsupported_endpoint'],
  ...[
    'POST /v1/chat/completions',
    'POST /v1/embeddings',
    'GET /v1/models',
    'GET /v1/models/default',
    'POST /v1/files',
    'GET /v1/files/file-1/content',
    'POST /v1/batches',
    'POST /v1/batches/b/cancel',
    'POST /v1/responses',
    'POST /v1/messages',
    'GET /v1/messages/batches/b/results',
    'POST /v1/webhook-endpoints',
    'POST /v1/webhook-endpoints/default/rotate',
    'GET /v1/webhook-deliveries',
    'GET /admin/v1/costs',
    'POST /admin/v1/api-keys',
    'GET /metrics',
  ].map((line): Row => {
    const [method = '', path = ''] = line.split(' ');
    return [`later: ${line}`, { method, path }, 400, 'not_supported_yet'];
  }),
];

/** Under the policy of a server that others can reach. */
const addresses: readonly (readonly [row: string, code: string, urls: readonly string[]])[] = [
  [
    'W1',
    'url_scheme',
    ['ftp://a.example/', 'file:///etc/passwd', 'javascript:alert(1)', 'data:text/plain,x', 'gopher://a.example/'],
  ],
  ['W3', 'url_userinfo', ['https://u:p@a.example/', 'https://@a.example/', 'http://1.1.1.1&@2.2.2.2#@3.3.3.3/']],
  [
    'W4',
    'url_private_address',
    ['127.0.0.1', '0x7f.1', '2130706433', '017700000001', '127.1', '１２７.0.0.1'].map(http),
  ],
  [
    'W5',
    'url_private_address',
    ['localhost', 'localhost.', 'a.localhost', 'a.internal', 'a.local', 'intranet'].map(http),
  ],
  ['W6', 'url_private_address', ['0', '0.0.0.0', '[::]'].map(http)],
  [
    'W7',
    'url_private_address',
    [
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[::127.0.0.1]',
      '[64:ff9b::a9fe:a9fe]',
      '[2002:7f00:1::]',
      '[fd00:ec2::254]',
      '[fe80::1]',
    ].map(http),
  ],
  [
    'W8',
    'url_private_address',
    ['169.254.169.254', '169.254.169.254.', '100.100.100.200', '192.0.0.192', '168.63.129.16'].map(http),
  ],
  [
    'W9',
    'url_private_address',
    [
      '10.0.0.1',
      '172.16.0.1',
      '192.168.1.1',
      '100.64.0.1',
      '198.18.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '192.0.2.1',
      '[2001:db8::1]',
    ].map(http),
  ],
  ['W13', 'url_port', [22, 25, 6379, 5432, 0].map((port) => http(`a.example:${port}`))],
  ['W13', 'invalid_url', [http('a.example:99999')]],
  [
    'W14',
    'invalid_url',
    [
      http(`a.example/${'x'.repeat(8_192)}`),
      http('a.example/#f'),
      http('a.exam ple'),
      http('a.exam\tple'),
      'a.example',
      '/hook',
      'http://',
      '//a.example/',
    ],
  ],
];
const receivers = addresses.flatMap(([row, code, urls]) =>
  urls.map((url): Row => [`${row} ${url.slice(0, 60)}`, job({ webhook_url: url }), 400, code]),
);

const table: readonly Row[] = [...fields, ...lists, ...routed, ...later];

function http(host: string): string {
  return `http://${host}/`;
}
function renamed(values: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.keys(values).map((key) => [`metadata.${key}`, 'v']));
}
function forged(id: string): string {
  return Buffer.concat([Buffer.alloc(12), Buffer.from(id)]).toString('base64url');
}
function notYet(request: (more: object) => WireRequest): (more: object) => Row {
  return (more) => [`later: ${JSON.stringify(more).slice(0, 70)}`, request(more), 400, 'not_supported_yet'];
}

let servers: RefusingServers;
const statuses: number[] = [];

beforeAll(async () => {
  servers = await startRefusingServers(true);
});
afterAll(async () => {
  try {
    await servers.expectNothingWritten();
    expect(statuses.filter((status) => status >= 500)).toEqual([]);
    expect(servers.provider.requests).toHaveLength(2);
  } finally {
    await servers.stop();
  }
});

async function send(to: 'waybill' | 'open', request: Row[1]): Promise<Answer> {
  const { url = '', adminKey = '' } = servers[to] ?? {};
  const answer = await exchange(url, adminKey, typeof request === 'function' ? request(servers) : request);
  statuses.push(answer.status);
  return answer;
}

test.for(table)('%s', async ([, request, status, code]) => {
  expectRefusal(await send('waybill', request), status, code);
});

test.for(receivers)('%s', async ([, request, status, code]) => {
  const answer = await send('open', request);
  expectRefusal(answer, status, code);
  expect(JSON.parse(answer.text)).toMatchObject({ error: { param: 'webhook_url' } });
});

test.for(['127.0.0.1', 'localhost', 'localhost.', 'a.localhost', '[::1]', '[::ffff:127.0.0.1]', '0x7f.1'])(
  'W15 this server itself, as %s',
  async (host) => {
    const { port } = new URL(servers.waybill.url);
    expectRefusal(await send('waybill', job({ webhook_url: `http://${host}:${port}/hook` })), 400, 'url_self');
  },
);

test('bulk names the job at fault', async () => {
  const params = await Promise.all(
    [{ webhook_url: 'ftp://a.example/' }, { custom_id: 7 }, { model: 'nobody' }].map(async (fault) => {
      const answer = await send('waybill', bulk([valid, { ...valid, ...fault }]));
      return (JSON.parse(answer.text) as { error: { param: string } }).error.param;
    }),
  );
  expect(params).toEqual(['jobs[1].webhook_url', 'jobs[1].custom_id', 'jobs[1].body.model']);
});

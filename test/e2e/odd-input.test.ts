/** What looks bad and is accepted, and a fuzz of valid jobs: whatever comes in, no answer is a 500. */
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { JobJson } from '@waybill/producer/job-json.ts';
import { problems } from '@waybill/shared/domain/problem.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exchange, exchangeBytes, type WireRequest } from '../support/http-exchange.ts';
import { type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let provider: ScriptedProvider;
let waybill: TestWaybill;

beforeAll(async () => {
  provider = await startScriptedProvider(() => say('done'));
  waybill = await startWaybill({
    config: {
      providers: { scripted: { preset: 'openai-compatible', endpoints: [`${provider.url}/v1`], labels: ['local'] } },
      chains: { default: { targets: ['scripted/model-a'] } },
    },
  });
});
afterAll(async () => {
  await waybill.stop();
  await provider.stop();
});

const valid = { model: 'default', prompt: 'hello' };
const text = JSON.stringify(valid);
const nested = (levels: number): unknown => (levels === 0 ? {} : { properties: nested(levels - 1) });
const tool = { type: 'function', function: { name: 'f', parameters: nested(57) } };
const unset = ['custom_id', 'priority', 'require', 'exclude_providers', 'attempt_timeout', 'expires_in', 'run_at'];
const unsetToo = ['webhook_url', 'metadata', 'max_cost_usd', 'conversation'];

const accepted: readonly (readonly [name: string, request: WireRequest, prompt: string])[] = [
  ['A8 a byte order mark', { body: Buffer.from(`\ufeff${text}`) }, 'hello'],
  ['A14 a key twice: the last wins', { body: `{"model":"nobody","prompt":"a",${text.slice(1)}` }, 'hello'],
  ['A17 NUL in a prompt', { body: { ...valid, prompt: 'a\u0000b' } }, 'a\u0000b'],
  ['A18 half a surrogate pair in a prompt', { body: { ...valid, prompt: 'a\ud800b' } }, 'a\ud800b'],
  [
    'A19 marks, zero width and RTL in a prompt',
    { body: { ...valid, prompt: 'a\u202e\u200b\u0301' } },
    'a\u202e\u200b\u0301',
  ],
  ['A11 gzip', { headers: { 'content-encoding': 'gzip' }, body: gzipSync(text) }, 'hello'],
  ['A11 deflate', { headers: { 'content-encoding': 'deflate' }, body: deflateSync(text) }, 'hello'],
  ['A11 br', { headers: { 'content-encoding': 'br' }, body: brotliCompressSync(text) }, 'hello'],
  ['A6 utf-8, quoted', { headers: { 'content-type': 'Application/JSON; charset="UTF-8"' }, body: text }, 'hello'],
  ['A23 a Host of somebody else', { headers: { host: 'evil.example' }, body: text }, 'hello'],
  ['A26 a trailing slash', { path: '/v1/jobs/', body: text }, 'hello'],
  ['A42 Expect: 100-continue', { headers: { expect: '100-continue' }, body: text }, 'hello'],
  [
    'A12 64 levels',
    { body: { body: { model: 'default', messages: [{ role: 'user', content: 'deep' }], tools: [tool] } } },
    'deep',
  ],
  [
    'every field null',
    { body: { ...valid, ...Object.fromEntries([...unset, ...unsetToo].map((name) => [name, null])) } },
    'hello',
  ],
  [
    'a batch line of OpenAI',
    {
      body: {
        custom_id: 'line-1',
        method: 'POST',
        url: '/v1/chat/completions',
        body: { model: 'default', messages: [{ role: 'user', content: 'line' }], stream: false, service_tier: 'auto' },
      },
    },
    'line',
  ],
  ['sixteen keys of metadata at their limits', { body: { ...valid, metadata: Object.fromEntries(limits()) } }, 'hello'],
];

function limits(): [string, string][] {
  return Array.from({ length: 16 }, (_, n) => [`${n}`.padEnd(64, 'k'), '"\n\u{1f680}'.padEnd(512, 'v')]);
}

test.for(accepted)('%s is accepted, and reaches the provider as it is', async ([, request, prompt]) => {
  const answer = await exchange(waybill.url, waybill.adminKey, request);
  expect(answer.status, answer.text).toBe(202);
  const job = JSON.parse(answer.text) as JobJson;
  expect((await whenFinal(waybill.client, job.id)).status).toBe('succeeded');
  expect(provider.requests.map((seen) => seen.prompt)).toContain(prompt);
});

test('an absolute target names the same path; a pipelined second request gets its own answer', async () => {
  const head = (target: string) =>
    `GET ${target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${waybill.adminKey}\r\n\r\n`;
  const answer = await exchangeBytes(waybill.url, `${head('http://evil.example/v1/jobs?limit=1')}${head('/v1/jobs')}`);
  expect(answer.status).toBe(200);
});

test('W14 a name that is not ASCII is kept as punycode', async () => {
  await waybill.client.submit({ ...valid, webhook_url: 'https://bücher.example:8443/a b'.replace(' ', '%20') });
  const { rows } = await waybill.server.database.pool.query(
    `select url from waybill.webhook_endpoints where url like 'https:%'`,
  );
  expect(rows).toEqual([{ url: 'https://xn--bcher-kva.example:8443/a%20b' }]);
});

/** A small generator with a seed (mulberry32), so that a failure can be played again. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const whole = {
  custom_id: 'doc-17',
  endpoint: '/v1/chat/completions',
  body: {
    model: 'default',
    messages: [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: [{ type: 'text', text: 'hello' }] },
    ],
    max_tokens: 200,
    temperature: 0.5,
    stop: ['END'],
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
    tool_choice: 'auto',
    response_format: { type: 'json_schema', json_schema: { name: 's', schema: { type: 'object' } } },
    logit_bias: { '50256': -100 },
  },
  priority: 'normal',
  require: ['local'],
  exclude_providers: ['openai'],
  attempt_timeout: '120s',
  expires_in: '24h',
  run_at: null,
  webhook_url: 'http://127.0.0.1:9999/hook',
  metadata: { team: 'search' },
};
const strange: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 1e21, 2 ** 31, '', ' ', '\u0000', '\ud800', '\u202e', 'x'.repeat(2_000), [], {}],
  ...[[null], [[]], { '': '' }, { constructor: 1 }, { toString: 'x' }, { valueOf: 1 }, 'constructor', '__proto__/x'],
  ...[
    'scripted/\u0000',
    'scripted/hasOwnProperty',
    '0s',
    '99999d',
    '2026-02-30T25:61:00Z',
    '/v1/embeddings',
    'http://[::',
  ],
  ...['http://%00/', 'http://xn--a/', '$1', "'; drop table waybill.jobs; --", '%00', '{{}}', '\\', '\r\n', '😀'],
];

const nameFrom = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Changes, drops, doubles or renames something somewhere in a value. */
function mutate(value: unknown, random: () => number, replaced = 0.15): unknown {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  if (typeof value !== 'object' || value === null || random() < replaced) return pick(strange);
  if (Array.isArray(value)) {
    if (value.length === 0 || random() < 0.2) return [...value, pick([...value, ...strange])];
    const at = Math.floor(random() * value.length);
    return random() < 0.2 ? value.toSpliced(at, 1) : value.with(at, mutate(value[at], random));
  }
  const entries = Object.entries(value);
  if (entries.length === 0 || random() < 0.1)
    return Object.fromEntries([...entries, [nameFrom(pick(strange)), pick(strange)]]);
  const [name, inner] = pick(entries);
  const rest = entries.filter(([other]) => other !== name);
  if (random() < 0.1) return Object.fromEntries(rest);
  if (random() < 0.1) return Object.fromEntries([...rest, [nameFrom(pick(strange)), inner]]);
  return Object.fromEntries([...rest, [name, mutate(inner, random)]]);
}

test('300 mutations of a valid job: an answer of the catalogue each, never a 500', async () => {
  const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`fuzz seed: ${seed}; play it again with FUZZ_SEED=${seed}`);
  const random = randomOf(seed);
  const counts = new Map<string, number>();
  expect(await waybill.client.submit(whole)).toMatchObject({ status: 'queued' });
  for (let n = 0; n < 300; n += 1) {
    let job: unknown = whole;
    for (let times = 1 + Math.floor(random() * 2); times > 0; times -= 1) job = mutate(job, random, 0.02);
    const body = random() < 0.2 ? { jobs: [whole, job] } : job;
    const path = body === job ? '/v1/jobs' : '/v1/jobs/bulk';
    const answer = await exchange(waybill.url, waybill.adminKey, { path, body: JSON.stringify(body) });
    const { error } = JSON.parse(answer.text) as { error?: { code: keyof typeof problems } };
    const code = error?.code ?? 'accepted';
    counts.set(code, (counts.get(code) ?? 0) + 1);
    expect(answer.status, `seed ${seed}, mutation ${n}: ${JSON.stringify(body)} -> ${answer.text}`).toBe(
      code === 'accepted' ? 202 : problems[code][0],
    );
    expect(answer.status).toBeLessThan(500);
  }
  const said = JSON.stringify([...counts]);
  expect(counts.get('accepted') ?? 0, said).toBeGreaterThan(5);
  expect(counts.size, said).toBeGreaterThan(5);
  expect((await fetch(`${waybill.url}/readyz`)).status).toBe(200);
});

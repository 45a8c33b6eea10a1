/** A job on its way down the chain: what each failure does, what it costs, and what the job says of it afterwards. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Reply,
  refuse,
  type ScriptedProvider,
  type SeenRequest,
  say,
  startScriptedProvider,
} from '../support/scripted-provider.ts';
import { startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

/** Scripts by prompt: each test sends a prompt of its own, and says what every provider does with it. */
type Script = Partial<Record<'a' | 'b' | 'c', readonly Reply[]>>;
const scripts = new Map<string, Script>();

let providers: Record<'a' | 'b' | 'c', ScriptedProvider>;
let waybill: TestWaybill;

const play = (id: 'a' | 'b' | 'c') => (request: SeenRequest) => {
  const replies = scripts.get(request.prompt)?.[id] ?? [];
  const n = providers[id].requests.filter((each) => each.prompt === request.prompt).length;
  return replies[n - 1] ?? replies.at(-1) ?? say(`${id} says hello`);
};

beforeAll(async () => {
  providers = {
    a: await startScriptedProvider(play('a')),
    b: await startScriptedProvider(play('b')),
    c: await startScriptedProvider(play('c')),
  };
  const timeouts = { first_byte: '400ms', idle: '400ms', total: '1500ms' };
  waybill = await startWaybill({
    config: {
      providers: {
        a: { preset: 'openai', base_url: `${providers.a.url}/v1`, api_key: 'test', timeouts },
        b: { preset: 'anthropic', base_url: `${providers.b.url}/v1`, api_key: 'test', timeouts },
        c: {
          preset: 'ollama',
          base_url: providers.c.url,
          limits: { concurrency: 8 },
          timeouts: { total: '5s', first_byte: '5s' },
        },
      },
      chains: {
        default: {
          targets: ['a/gpt-4.1-mini', 'b/claude-haiku-4-5', 'c/llama3.2'],
          backoff: { initial: '5ms', max: '20ms' },
        },
        // Accounts rest model by model: what is told to wait long has a model of its own.
        hurried: { targets: ['a/gpt-4.1-nano', 'b/claude-haiku-4-5'], backoff: { initial: '5ms', max: '20ms' } },
        patient: { targets: ['a/gpt-4.1', 'b/claude-haiku-4-5'], backoff: { initial: '5ms', max: '20ms' } },
        limited: { targets: ['a/gpt-4o-mini', 'b/claude-haiku-4-5'], backoff: { initial: '5ms', max: '20ms' } },
        'at-once': { targets: ['a/gpt-4.1-mini', 'b/claude-haiku-4-5', 'c/llama3.2'], mode: 'immediate' },
        turns: {
          targets: ['a/gpt-4.1-mini', 'b/claude-haiku-4-5', 'c/llama3.2'],
          strategy: 'round_robin',
          same_target_retries: 0,
        },
        forgiving: {
          targets: ['a/gpt-4.1-mini', 'b/claude-haiku-4-5'],
          on: { invalid_request: 'fallback', refusal: 'fallback' },
          backoff: { initial: '5ms' },
        },
      },
    },
  });
});

afterAll(async () => {
  await waybill?.stop();
  await Promise.all(Object.values(providers ?? {}).map((provider) => provider.stop()));
});

async function run(prompt: string, script: Script, more: Record<string, unknown> = {}) {
  scripts.set(prompt, script);
  const { id } = await waybill.client.submit({ model: 'default', prompt, ...more });
  return whenFinal(waybill.client, id);
}

/** `a failed server_error`, one line per attempt. */
const story = (job: Awaited<ReturnType<typeof run>>): string[] =>
  job.attempts.map((attempt) =>
    [attempt.target.slice(0, 1), attempt.status, attempt.failure?.kind].filter(Boolean).join(' '),
  );

test('a job takes the first target, and says what it cost', async () => {
  const job = await run('plain', {});
  expect(job).toMatchObject({
    status: 'succeeded',
    target: 'a/gpt-4.1-mini',
    output_text: 'a says hello',
    cost_unknown_attempts: 0,
    error: null,
    waiting: null,
  });
  // 2 tokens in at $0.40 and 3 out at $1.60 per million.
  expect(job.cost_usd).toBe('0.0000056');
  expect(job.attempts[0]).toMatchObject({ cost_usd: '0.0000056', cost_basis: 'computed', credential: 'api_key' });
});

test.for<[string, Script, string[]]>([
  [
    '500 is tried again once, then moves on',
    { a: [refuse(500)] },
    ['a failed server_error', 'a failed server_error', 'b succeeded'],
  ],
  [
    '529 and 503 are tried again twice',
    { a: [refuse(529)] },
    ['a failed overloaded', 'a failed overloaded', 'a failed overloaded', 'b succeeded'],
  ],
  ['a retry that works stays', { a: [refuse(502), say('fine')] }, ['a failed server_error', 'a succeeded']],
  [
    'a hang takes its first-byte timeout',
    { a: [{ kind: 'hang' }] },
    ['a failed timeout', 'a failed timeout', 'b succeeded'],
  ],
  [
    'a cut answer is never a success',
    { a: [{ kind: 'cut' }, say('whole')] },
    ['a failed stream_interrupted', 'a succeeded'],
  ],
  [
    'a reset connection is a network failure',
    { a: [{ kind: 'reset' }] },
    ['a failed network', 'a failed network', 'b succeeded'],
  ],
  [
    'an answer that is not JSON is no answer',
    { a: [{ kind: 'raw', body: 'hello there' }] },
    ['a failed bad_output', 'a failed bad_output', 'a failed bad_output', 'b succeeded'],
  ],
  ['an empty answer is no answer', { a: [say(''), say('text')] }, ['a failed bad_output', 'a succeeded']],
  [
    'an error inside HTTP 200 is a failure',
    { a: [{ kind: 'raw', body: '{"error":{"code":503,"message":"x"}}' }, say('ok')] },
    ['a failed overloaded', 'a succeeded'],
  ],
  [
    'a prompt that is too long moves on at once',
    { a: [refuse(400, { error: { code: 'context_length_exceeded' } })] },
    ['a failed context_length', 'b succeeded'],
  ],
  [
    'two providers down leave the third',
    { a: [refuse(500)], b: [refuse(529)] },
    [
      'a failed server_error',
      'a failed server_error',
      'b failed overloaded',
      'b failed overloaded',
      'b failed overloaded',
      'c succeeded',
    ],
  ],
])('%s', async ([prompt, script, expected]) => {
  const job = await run(prompt, script);
  expect(story(job)).toEqual(expected);
  expect(job.status).toBe('succeeded');
});

test('a request that is wrong everywhere fails at once', async () => {
  const job = await run('wrong', {
    a: [refuse(400, { error: { message: 'secret prompt text', type: 'invalid_request_error' } })],
  });
  expect(story(job)).toEqual(['a failed invalid_request']);
  expect(job).toMatchObject({ status: 'failed', error: { kind: 'invalid_request' }, cost_usd: '0.00' });
  expect(JSON.stringify(job)).not.toContain('secret prompt text');
});

test('a chain may say otherwise', async () => {
  const wrong = refuse(400, { error: { message: 'no', type: 'invalid_request_error' } });
  expect(story(await run('overridden', { a: [wrong] }, { model: 'forgiving' }))).toEqual([
    'a failed invalid_request',
    'b succeeded',
  ]);
});

test('when every target is used up, the job fails and each attempt tells why', async () => {
  const job = await run('hopeless', { a: [refuse(500)], b: [refuse(500)], c: [refuse(500)] });
  expect(job).toMatchObject({ status: 'failed', error: { kind: 'attempts_exhausted' } });
  expect(job.attempts.map((attempt) => attempt.target)).toEqual(
    ['a', 'a', 'b', 'b', 'c', 'c'].map((id) => expect.stringMatching(`^${id}/`)),
  );
});

test('immediate mode leaves at the first failure', async () => {
  expect(story(await run('impatient', { a: [refuse(500)] }, { model: 'at-once' }))).toEqual([
    'a failed server_error',
    'b succeeded',
  ]);
});

test('a refused model is a result unless the chain falls back', async () => {
  const refusal: Reply = {
    kind: 'raw',
    body: JSON.stringify({
      choices: [{ message: { content: null, refusal: 'I cannot' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 2, completion_tokens: 3 },
    }),
  };
  const kept = await run('refused', { a: [refusal] });
  expect(kept.status).toBe('succeeded');
  const moved = await run('refused too', { a: [refusal] }, { model: 'forgiving' });
  expect(story(moved)).toEqual(['a failed refusal', 'b succeeded']);
});

test('Retry-After is obeyed, and waiting uses up no attempt', async () => {
  const job = await run(
    'limited',
    { a: [refuse(429, undefined, { 'retry-after': '1' }), say('now')] },
    { model: 'limited' },
  );
  expect(story(job)).toEqual(['a failed rate_limit', 'a succeeded']);
  const [first, second] = job.attempts;
  expect(Date.parse(second?.started_at ?? '') - Date.parse(first?.started_at ?? '')).toBeGreaterThanOrEqual(1_000);
});

test('an interactive job does not wait for a long limit', async () => {
  const job = await run(
    'hurry',
    { a: [refuse(429, undefined, { 'retry-after': '30' })] },
    { model: 'hurried', priority: 'interactive' },
  );
  expect(story(job)).toEqual(['a failed rate_limit', 'b succeeded']);
});

test('a bulk job waits for the limit, and says so', async () => {
  scripts.set('patient', { a: [refuse(429, undefined, { 'retry-after': '3600' })] });
  const { id } = await waybill.client.submit({ model: 'patient', prompt: 'patient', priority: 'bulk' });
  const job = await whenWaiting(id);
  expect(job.waiting).toMatchObject({ reason: 'rate_limit' });
  expect(Date.parse(job.waiting?.until ?? '') - Date.now()).toBeGreaterThan(3_500_000);
  await waybill.client.cancel(id);
});

async function whenWaiting(id: string) {
  for (;;) {
    const job = await waybill.client.get(id);
    if (job.waiting?.reason === 'rate_limit') return job;
  }
}

test('the unknown is never zero: a hung call is counted, and has no price', async () => {
  const job = await run('hangs', { a: [{ kind: 'hang' }, say('there')] });
  expect(job.cost_unknown_attempts).toBe(1);
  expect(job.attempts[0]).toMatchObject({ cost_usd: null, cost_basis: 'unknown', cost_reason: 'timeout' });
  const refused = await run('refused call', { a: [refuse(500), say('there')] });
  expect(refused.attempts[0]).toMatchObject({ cost_usd: '0.00', cost_basis: 'none' });
  const silent = await run('no usage', { a: [say('text', { usage: false })] });
  expect(silent.attempts[0]).toMatchObject({ cost_usd: null, cost_basis: 'unpriced', cost_reason: 'no_usage' });
});

test('the ledger holds a row for what cost or may have cost, and adds up to the attempts', async () => {
  const job = await run('booked', { a: [refuse(500), { kind: 'hang' }, { kind: 'hang' }], b: [say('paid')] });
  const { rows } = await waybill.server.database.pool.query(
    'select attempt, cost_nano, cost_basis, price_source, price_snapshot from waybill.ledger where job_id = $1 order by attempt',
    [job.id],
  );
  expect(rows).toMatchObject([
    { attempt: 2, cost_nano: null, cost_basis: 'unknown' },
    { attempt: 3, cost_nano: null, cost_basis: 'unknown' },
    { attempt: 4, cost_basis: 'computed', price_source: 'genai-prices' },
  ]);
  expect(JSON.parse(String(rows[2]?.price_snapshot))).toMatchObject({
    provider: 'anthropic',
    prices: { input_mtok: 1, output_mtok: 5 },
  });
});

test('round robin spreads jobs over the targets', async () => {
  const targets = [];
  for (let n = 0; n < 3; n += 1) targets.push((await run(`turn ${n}`, {}, { model: 'turns' })).target);
  expect(new Set(targets).size).toBe(3);
});

test('a job may exclude providers, require labels, and name a target', async () => {
  expect((await run('not a', {}, { exclude_providers: ['a'] })).target).toBe('b/claude-haiku-4-5');
  expect((await run('local only', {}, { require: ['local'] })).target).toBe('c/llama3.2');
  expect((await run('named', {}, { model: 'c/other-model' })).target).toBe('c/other-model');
});

test('the whole attempt has a timeout of its own, given by the job', async () => {
  const job = await run(
    'slow',
    { c: [say('late', { delayMs: 3_000 })] },
    { model: 'c/llama3.2', attempt_timeout: '1s', priority: 'interactive' },
  );
  expect(job.attempts[0]).toMatchObject({ status: 'failed', failure: { kind: 'timeout' } });
});

test('one attempt is one HTTP request', async () => {
  const { rows } = await waybill.server.database.pool.query(
    `select count(*)::int as n from waybill.attempts where target like 'a/%' and failure_kind is distinct from 'unsupported_feature'`,
  );
  expect(rows[0]?.n).toBe(providers.a.requests.length);
});

/** Answers that are not what was asked for: JSON that is none, and answers cut by their length. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Reply, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let provider: ScriptedProvider;
let waybill: TestWaybill;

/** By prompt; what `first` answers, call by call, the last one for ever. `second` gives what is asked for. */
const scripts = new Map<string, readonly Reply[]>();
const good = '{"name":"Ada","age":36}';

beforeAll(async () => {
  provider = await startScriptedProvider(({ prompt, body }) => {
    if (body.model === 'second') return say(good);
    const nth = provider.requests.filter((each) => each.prompt === prompt && each.body.model === 'first').length;
    const replies = scripts.get(prompt) ?? [];
    return replies[nth - 1] ?? replies.at(-1) ?? say(good);
  });
  const targets = ['a/first', 'a/second'];
  const backoff = { initial: '5ms', max: '10ms' };
  waybill = await startWaybill({
    config: {
      providers: { a: { preset: 'openai-compatible', base_url: `${provider.url}/v1` } },
      chains: {
        default: { targets, backoff },
        'on-length-fallback': { targets, backoff, on_length: 'fallback' },
        'on-length-fail': { targets, backoff, on_length: 'fail' },
      },
    },
  });
});

afterAll(async () => {
  await waybill?.stop();
  await provider?.stop();
});

const object = { type: 'json_object' };
const person = {
  type: 'json_schema',
  json_schema: {
    name: 'person',
    schema: {
      type: 'object',
      required: ['name', 'age'],
      properties: { name: { type: 'string' }, age: { type: 'integer', minimum: 0 } },
      additionalProperties: false,
    },
  },
};

async function run(prompt: string, replies: readonly Reply[], format: object | null, model = 'default') {
  scripts.set(prompt, replies);
  const body = {
    model,
    messages: [{ role: 'user', content: prompt }],
    ...(format === null ? {} : { response_format: format }),
  };
  return whenFinal(waybill.client, (await waybill.client.submit({ body })).id);
}
const story = (job: Awaited<ReturnType<typeof run>>) =>
  job.attempts.map(({ target, status, failure }) => [target.slice(2), status, failure?.kind].filter(Boolean).join(' '));

const cut = (text: string) => say(text, { finish: 'length' });
const useless = 'first failed bad_output';

test.for<[string, object | null, Reply[], string, string[]]>([
  [
    'JSON at the third try',
    object,
    [say('canary'), say('[1]'), say(good)],
    'default',
    [useless, useless, 'first succeeded'],
  ],
  [
    'JSON of the schema at the third try',
    person,
    [say('{"name":"canary"}'), say('{"name":"canary","age":-1}'), say(good)],
    'default',
    [useless, useless, 'first succeeded'],
  ],
  ['no JSON ever', person, [say('canary')], 'default', [useless, useless, useless, 'second succeeded']],
  ['a cut answer, accepted', null, [cut('half')], 'default', ['first succeeded']],
  ['a cut answer, not accepted', null, [cut('half')], 'on-length-fallback', [useless, 'second succeeded']],
  ['a cut answer that ends the job', null, [cut('half')], 'on-length-fail', [useless]],
  ['cut JSON, which nobody tries twice', person, [cut('{"name":"canary')], 'default', [useless, 'second succeeded']],
  ['JSON that is whole though it was cut', person, [cut(good)], 'default', ['first succeeded']],
  ['whole JSON that was cut, not accepted', person, [cut(good)], 'on-length-fallback', [useless, 'second succeeded']],
])('%s', async ([prompt, format, replies, model, expected]) => {
  const job = await run(prompt, replies, format, model);
  expect(story(job)).toEqual(expected);
  expect(JSON.stringify(job.attempts), 'nothing of an answer is in a failure').not.toContain('canary');
});

test('what a useless answer cost is on the bill, and the failure says why it was useless', async () => {
  const job = await run('billed', [say('no JSON'), say(good)], object);
  expect(job.attempts[0]).toMatchObject({
    usage: { completion_tokens: 2 },
    failure: { kind: 'bad_output', message: 'the answer is not JSON', http_status: 200 },
  });
  expect(job).toMatchObject({ status: 'succeeded', output_text: good });
});

test('an accepted answer that was cut says that it was', async () => {
  const job = await run('says so', [cut('half')], null);
  expect(job).toMatchObject({
    status: 'succeeded',
    output: { choices: [{ message: { content: 'half' }, finish_reason: 'length' }] },
  });
});

test('a job that a cut answer ends says so', async () => {
  const job = await run('ended by length', [cut('half')], null, 'on-length-fail');
  expect(job).toMatchObject({ status: 'failed', error: { kind: 'bad_output' }, output: null });
  expect(job.error?.message).toContain('cut by its length');
});

test('the schema goes to the provider, and each further try has a seed of its own', async () => {
  scripts.set('seeded', [say('no'), say(good)]);
  const messages = [{ role: 'user', content: 'seeded' }];
  const { id } = await waybill.client.submit({
    body: { model: 'default', messages, response_format: person, seed: 5 },
  });
  await whenFinal(waybill.client, id);
  const sent = provider.requests.filter(({ prompt }) => prompt === 'seeded').map(({ body }) => body);
  expect(sent.map(({ seed }) => seed)).toEqual([5, 6]);
  expect(sent[0]).toMatchObject({ response_format: { type: 'json_schema', json_schema: { name: 'person' } } });
});

import { expect, test } from 'vitest';
import { faultsOf } from '../domain/strict-object.ts';
import { chatRequestSchema, textOf } from './request.ts';

const user = { role: 'user', content: 'Say hello.' };
const base = { model: 'default', messages: [user] };
const call = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } };

function faultsIn(body: unknown) {
  const parsed = chatRequestSchema.safeParse(body);
  return parsed.success ? [] : faultsOf(parsed.error).map(({ path, code, message }) => ({ path, code, message }));
}

test.for<[string, object]>([
  ['reasoning text of an earlier turn', { role: 'assistant', content: 'Hi.', reasoning_content: 'They greet.' }],
  [
    'opaque reasoning parts of an earlier turn',
    {
      role: 'assistant',
      content: 'Hi.',
      reasoning_details: [
        { origin: 'anthropic/claude', part: { type: 'thinking', signature: 'c2ln', extra: [1, null] } },
        { origin: 'gemini/g', part: 'opaque' },
        { origin: 'gemini/g', part: null },
      ],
    },
  ],
  ['tool calls without text', { role: 'assistant', content: null, tool_calls: [call] }],
  ['a refusal', { role: 'assistant', content: null, refusal: 'No.' }],
  ['a tool result', { role: 'tool', tool_call_id: 'call_1', content: '{"degrees":3}' }],
  ['text parts of a system message', { role: 'system', content: [{ type: 'text', text: 'Be brief.' }] }],
  ['a developer message with a name', { role: 'developer', content: 'Be brief.', name: 'house_rules' }],
  [
    'an image part with its detail',
    { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', detail: 'low' } }] },
  ],
  [
    'a file and sound, each with where its prefix may be cached',
    {
      role: 'user',
      content: [
        {
          type: 'file',
          file: { file_data: 'data:application/pdf;base64,JVBERi0=', filename: 'a.pdf' },
          prompt_cache_breakpoint: { mode: 'explicit', ttl: '1h' },
        },
        {
          type: 'input_audio',
          input_audio: { data: 'AAAA', format: 'mp3' },
          prompt_cache_breakpoint: { mode: 'explicit' },
        },
        { type: 'text', text: 'What is said?', prompt_cache_breakpoint: { mode: 'explicit', ttl: '5m' } },
      ],
    },
  ],
  [
    'where the prefix of instructions may be cached',
    {
      role: 'system',
      content: [{ type: 'text', text: 'Be brief.', prompt_cache_breakpoint: { mode: 'explicit', ttl: '30m' } }],
    },
  ],
])('a message keeps %s', ([, message]) => {
  const parsed = chatRequestSchema.parse({ ...base, messages: [user, message] });
  expect(JSON.parse(JSON.stringify(parsed)).messages[1]).toEqual(message);
});

test('every parameter of an accepted request comes out as it went in', () => {
  const request = {
    ...base,
    max_completion_tokens: 10,
    temperature: 0.5,
    top_p: 0.9,
    n: 2,
    stop: ['END'],
    seed: 7,
    logprobs: true,
    top_logprobs: 3,
    logit_bias: { '50256': -100 },
    frequency_penalty: -1,
    presence_penalty: 1,
    tools: [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' }, strict: true } }],
    tool_choice: { type: 'function', function: { name: 'weather' } },
    parallel_tool_calls: false,
    response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' }, strict: true } },
    reasoning_effort: 'low',
    verbosity: 'low',
    user: 'u1',
    safety_identifier: 's1',
    prompt_cache_key: 'k',
    metadata: { team: 'search' },
    store: false,
  };
  expect(JSON.parse(JSON.stringify(chatRequestSchema.parse(request)))).toEqual(request);
});

test.for<[string, unknown, unknown[]]>([
  ['service_tier', 'flex', ['auto', 'default', null]],
  ['modalities', ['text', 'audio'], [['text'], null]],
  ['audio', { voice: 'alloy' }, [null]],
  ['moderation', { model: 'x' }, [null]],
  ['prediction', { type: 'content' }, [null]],
  ['prompt_cache_options', { mode: 'explicit' }, [null]],
  ['prompt_cache_retention', '24h', [null]],
  ['web_search_options', {}, [null]],
])('"%s" is refused by its name, and neutral values pass', ([field, value, neutral]) => {
  expect(faultsIn({ ...base, [field]: value })).toEqual([
    { path: field, code: 'not_supported_yet', message: `"${field}" is not supported yet; remove it` },
  ]);
  for (const each of neutral) expect(faultsIn({ ...base, [field]: each })).toEqual([]);
});

test.for<[string, object, object[]]>([
  ['a stream', { stream: true }, []],
  ['no stream', { stream: false, stream_options: null }, []],
  ['options of a stream', { stream: true, stream_options: { include_usage: true, include_obfuscation: false } }, []],
  ['one choice in a stream', { stream: true, n: 1, logprobs: false }, []],
  ['options without a stream', { stream_options: {} }, [{ path: 'stream_options', code: 'invalid_value' }]],
  ['several choices in a stream', { stream: true, n: 2 }, [{ path: 'n', code: 'not_supported_yet' }]],
  [
    'log probabilities in a stream',
    { stream: true, logprobs: true },
    [{ path: 'logprobs', code: 'not_supported_yet' }],
  ],
  [
    'obfuscation',
    { stream: true, stream_options: { include_obfuscation: true } },
    [{ path: 'stream_options.include_obfuscation', code: 'not_supported_yet' }],
  ],
])('%s: what is accepted with "stream" is obeyed', ([, change, faults]) => {
  expect(faultsIn({ ...base, ...change })).toMatchObject(faults);
});

test.for<[string, object, string, string]>([
  ['a misspelt parameter', { temperatur: 1 }, '', 'temperature'],
  ['a misspelt limit', { max_token: 1 }, '', 'max_tokens'],
  ['a misspelt field of a message', { messages: [{ ...user, nam: 'x' }] }, 'messages[0]', 'name'],
  [
    'a misspelt field of a tool',
    { tools: [{ type: 'function', function: { name: 'f', parameter: {} } }] },
    'tools[0].function',
    'parameters',
  ],
])('%s is unknown, and the nearest name is told', ([, change, path, near]) => {
  expect(faultsIn({ ...base, ...change })).toEqual([
    { path, code: 'unknown_field', message: expect.stringContaining(`did you mean "${near}"?`) },
  ]);
});

test('a field that is near to nothing is unknown without a guess', () => {
  const [fault] = faultsIn({ ...base, is_admin: true });
  expect(fault).toEqual({ path: '', code: 'unknown_field', message: 'unknown field "is_admin"' });
});

test.for<[string, object, string, string]>([
  ['no messages', { messages: [] }, 'messages', 'empty_input'],
  ['only blank messages', { messages: [{ role: 'user', content: ' \n' }] }, 'messages', 'empty_input'],
  [
    'only blank parts',
    { messages: [{ role: 'user', content: [{ type: 'text', text: '' }] }] },
    'messages',
    'empty_input',
  ],
  ['a temperature as text', { temperature: '0.7' }, 'temperature', 'invalid_type'],
  ['a negative temperature', { temperature: -1 }, 'temperature', 'out_of_range'],
  ['a fractional limit', { max_tokens: 1.5 }, 'max_tokens', 'invalid_type'],
  ['a limit of zero', { max_tokens: 0 }, 'max_tokens', 'out_of_range'],
  ['a limit beyond reason', { max_tokens: 10 ** 12 }, 'max_tokens', 'out_of_range'],
  ['five stop texts', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop', 'invalid_type'],
  ['a missing model', { model: undefined }, 'model', 'invalid_type'],
  ['a boolean as text', { store: 'yes' }, 'store', 'invalid_type'],
])('%s is a fault with its path', ([, change, path, code]) => {
  expect(faultsIn({ ...base, ...change })).toEqual([{ path, code, message: expect.any(String) }]);
});

test('all faults come at once', () => {
  const faults = faultsIn({ ...base, temperature: 9, audio: {}, modle: 'x' });
  expect(faults.map((fault) => fault.code).toSorted()).toEqual(['not_supported_yet', 'out_of_range', 'unknown_field']);
});

test('a message of images alone is something to send', () => {
  const content = [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }];
  expect(faultsIn({ ...base, messages: [{ role: 'user', content }] })).toEqual([]);
});

test.for([
  [null, ''],
  [undefined, ''],
  ['plain', 'plain'],
  [
    [
      { type: 'text' as const, text: 'a' },
      { type: 'image_url' as const, image_url: { url: 'https://example.com/a.png' } },
      { type: 'text' as const, text: 'b' },
    ],
    'ab',
  ],
] as const)('the text of %j is %j', ([content, expected]) => {
  expect(textOf(content as never)).toBe(expected);
});

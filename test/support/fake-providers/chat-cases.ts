/** What models answer and what they are asked. Where providers differ the row names them, after the provider reference. */
import { anyOf, byId, type Case, chatCase, dropped, listed, reply } from './case.ts';
import { model, pixel, pixelUri, user, weatherSchema } from './conversation.ts';
import { says } from './wire.ts';

const openaiLike = [
  'openai',
  'azure-openai',
  'groq',
  'openrouter',
  'mistral',
  'localai',
  'llama-cpp',
  'lightllm',
  'vllm',
  'lm-studio',
  'openai-compatible',
];
const servers = ['localai', 'llama-cpp', 'lightllm', 'vllm', 'lm-studio'];
export const answerCases: readonly Case[] = [
  chatCase('answers a text', {
    meaning: ['user: Hi'],
    answer: (id) => ({
      text: reply.text,
      finishReason: 'stop',
      toolCalls: [],
      refusal: null,
      usage: { inputTokens: 20, outputTokens: 7, cacheReadTokens: 0, reasoningTokens: 0 },
      ...(id === 'cohere' ? { model: null } : { model: anyOf.filled }),
    }),
  }),
  chatCase('keeps characters whole that arrive byte by byte', {
    said: says('日本語 👩‍👩‍👧 é\u0301 "\\n"\n\ttab'),
    pieceBytes: 1,
    answer: { text: '日本語 👩‍👩‍👧 é\u0301 "\\n"\n\ttab' },
  }),
  chatCase('tells reasoning apart from text', {
    only: [
      'anthropic',
      'gemini',
      'cohere',
      'groq',
      'openrouter',
      'mistral',
      'ollama',
      'llama-cpp',
      'lightllm',
      'vllm',
      'lm-studio',
    ],
    said: says('Four.', { reasoning: 'Two and two is four.', usage: { input: 9, output: 12 } }),
    answer: { text: 'Four.', reasoning: 'Two and two is four.', usage: { inputTokens: 9, outputTokens: 12 } },
  }),
  chatCase('says that it was cut for length', {
    said: says('Once upon', { finish: 'length' }),
    answer: { text: 'Once upon', finishReason: 'length' },
  }),
  chatCase('takes a reason to stop that nobody knows for the end, and says so', {
    said: says('Done', { oddFinish: true }),
    answer: { text: 'Done', finishReason: 'stop' },
    warns: () => [/reason|finish|stop/i],
  }),
  chatCase('reports a refusal as one', {
    only: ['openai', 'azure-openai', 'openrouter', 'openai-compatible'],
    said: says('', { refusal: 'I cannot help with that.' }),
    answer: { text: '', refusal: 'I cannot help with that.' },
  }),
  chatCase('reports a refusal as filtered', {
    only: ['anthropic'],
    said: says('', { refusal: 'I cannot help with that.' }),
    answer: { finishReason: 'content_filter' },
  }),
  chatCase('fails for a prompt that was blocked', {
    only: ['gemini'],
    said: says('', { refusal: 'blocked' }),
    failure: { kind: 'content_filter', httpStatus: 200 },
  }),
  chatCase('says that the answer was filtered, even with nothing left of it', {
    only: ['openai', 'azure-openai', 'openrouter', 'gemini', 'anthropic'],
    said: says('', { finish: 'content_filter' }),
    answer: { text: '', finishReason: 'content_filter' },
  }),
  chatCase('takes an empty answer for a bad one', {
    said: says(''),
    failure: { kind: 'bad_output', httpStatus: 200 },
  }),
  chatCase('counts what was cached and thought inside the totals', {
    only: ['openai', 'azure-openai', 'gemini', 'anthropic', 'cohere', 'openrouter', 'vllm', 'groq'],
    said: says('Hi', { usage: { input: 30, output: 9, cacheRead: 12, reasoning: 4 } }),
    answer: (id) => ({
      usage: {
        inputTokens: 30,
        outputTokens: 9,
        cacheReadTokens: 12,
        cacheWriteTokens: 0,
        reasoningTokens: id === 'cohere' ? 0 : 4,
      },
    }),
  }),
  chatCase('counts what was written to the cache inside the input', {
    only: ['anthropic', 'openai'],
    said: says('Hi', { usage: { input: 30, output: 9, cacheRead: 10, cacheWrite: 15 } }),
    answer: { usage: { inputTokens: 30, outputTokens: 9, cacheReadTokens: 10, cacheWriteTokens: 15 } },
  }),
  chatCase('never takes unknown usage for none', {
    said: says('Hi', { usage: null }),
    answer: { text: 'Hi', usage: null },
  }),
];

export const askCases: readonly Case[] = [
  chatCase('hears the instructions before everything, and later ones in their place', {
    request: {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'developer', content: [{ type: 'text', text: 'Be kind.' }] },
        user('Hi'),
      ],
    },
    answer: { text: reply.text },
    meaning: ['system: Be brief.\n\nBe kind.', 'user: Hi'],
  }),
  chatCase('hears a conversation in its order', {
    request: {
      messages: [user('One?'), model('1'), user([{ type: 'text', text: 'Two?' }]), model('2'), user('Three?')],
    },
    meaning: ['user: One?', 'model: 1', 'user: Two?', 'model: 2', 'user: Three?'],
  }),
  chatCase('hears how to sample', {
    request: { max_tokens: 100, temperature: 0.25, top_p: 0.9, stop: ['END', 'FIN'], seed: 7 },
    settings: (id) => ({
      maxTokens: 100,
      temperature: 0.25,
      // It takes one of the two.
      topP: id === 'anthropic' ? null : 0.9,
      stop: ['END', 'FIN'],
      seed: id === 'anthropic' ? null : 7,
    }),
    warns: byId<readonly RegExp[]>([], { anthropic: dropped('seed', 'top_p') }),
  }),
  chatCase('hears a bound given in the newer word, and one text to stop at', {
    request: { max_completion_tokens: 64, stop: 'END' },
    settings: { maxTokens: 64, stop: ['END'] },
  }),
  chatCase('needs no bound', { request: {}, settings: {} }),
  chatCase('hears a picture', {
    request: {
      messages: [
        user([
          { type: 'text', text: 'What is it?' },
          { type: 'image_url', image_url: { url: pixelUri } },
        ]),
      ],
    },
    meaning: ['user: What is it?', `image ${pixel}`],
  }),
  chatCase('hears the address of a picture', {
    // Nothing here downloads.
    cannot: ['ollama', 'lm-studio'],
    request: {
      messages: [
        user([
          { type: 'text', text: 'What is it?' },
          { type: 'image_url', image_url: { url: 'https://example.test/cat.png', detail: 'low' } },
        ]),
      ],
    },
    meaning: ['user: What is it?', 'image https://example.test/cat.png'],
    warns: (id) => (['anthropic', 'gemini'].includes(id) ? [/detail/] : []),
  }),
  chatCase('is asked for JSON', {
    cannot: ['anthropic'],
    request: { messages: [user('Answer in JSON')], response_format: { type: 'json_object' } },
    said: says('{"a":1}'),
    settings: { format: 'json_object' },
    answer: { text: '{"a":1}' },
  }),
  chatCase('is asked for JSON of a schema', {
    request: {
      response_format: { type: 'json_schema', json_schema: { name: 'weather', schema: weatherSchema, strict: true } },
    },
    said: says('{"city":"Bern","unit":"c"}'),
    settings: { format: { schema: weatherSchema } },
    answer: { text: '{"city":"Bern","unit":"c"}' },
  }),
  chatCase('is told by a server of several choices', {
    only: openaiLike,
    cannot: ['groq'],
    request: { n: 2 },
    answer: { text: reply.text, otherChoices: [{ index: 1 }] },
  }),
  chatCase('cannot give several choices', {
    only: ['anthropic', 'cohere', 'ollama', 'groq'],
    cannot: ['anthropic', 'cohere', 'ollama', 'groq'],
    request: { n: 2 },
  }),
  chatCase('tells how likely its words were', {
    only: ['openai', 'azure-openai', 'openrouter', 'vllm', 'llama-cpp', 'groq', 'mistral', 'anthropic'],
    cannot: ['groq', 'mistral', 'anthropic'],
    request: { logprobs: true, top_logprobs: 2 },
  }),
  chatCase('hears who spoke, where names are known', {
    request: { messages: [{ role: 'user', content: 'Hi', name: 'ada' }] },
    meaning: ['user: Hi'],
    warns: byId<readonly RegExp[]>(
      [],
      listed(['groq', 'mistral', 'anthropic', 'gemini', 'cohere', 'ollama'], [/name/]),
    ),
  }),
  chatCase('gets the hints it knows, and a warning tells of each that it does not', {
    request: {
      metadata: { team: 'search' },
      user: 'u-1',
      safety_identifier: 's-1',
      prompt_cache_key: 'k-1',
      verbosity: 'low',
      store: true,
    },
    warns: byId<readonly RegExp[]>([], {
      ...listed(servers, dropped('metadata', 'safety_identifier', 'prompt_cache_key', 'verbosity', 'store')),
      openai: dropped('verbosity'),
      groq: dropped('metadata', 'safety_identifier', 'prompt_cache_key', 'verbosity', 'store'),
      mistral: dropped('user', 'safety_identifier', 'verbosity', 'store'),
      anthropic: dropped('metadata', 'prompt_cache_key', 'verbosity', 'store'),
      gemini: dropped('user', 'safety_identifier', 'prompt_cache_key', 'verbosity'),
      cohere: dropped('metadata', 'user', 'safety_identifier', 'prompt_cache_key', 'verbosity', 'store'),
      ollama: dropped('metadata', 'user', 'safety_identifier', 'prompt_cache_key', 'verbosity', 'store'),
    }),
  }),
  chatCase('hears how much to think', {
    request: { reasoning_effort: 'high', max_tokens: 4_000 },
    model: byId<string | undefined>(undefined, {
      openai: 'o4-mini',
      anthropic: 'claude-opus-4-6',
      gemini: 'gemini-3-pro',
    }),
    settings: (id) => ({
      effort: byId<unknown>('high', { gemini: 'HIGH', cohere: { type: 'enabled' } })(id),
      maxTokens: 4_000,
    }),
  }),
  chatCase('hears not to think', {
    only: ['openai', 'mistral', 'cohere', 'ollama', 'gemini', 'openrouter', 'vllm'],
    request: { reasoning_effort: 'none' },
    model: byId<string | undefined>(undefined, { openai: 'gpt-5.4' }),
    settings: (id) => ({
      effort: byId<unknown>('none', { cohere: { type: 'disabled' }, ollama: false, gemini: 0 })(id),
    }),
  }),
  chatCase('hears the effort that is nearest to one it does not know', {
    only: ['mistral', 'lightllm'],
    request: { reasoning_effort: 'minimal' },
    settings: (id) => ({ effort: id === 'mistral' ? 'none' : 'low' }),
    warns: () => [/effort/],
  }),
];

/** Tools offered, called and answered, and the models whose rules are their own. */
import { anyOf, byId, type Case, chatCase, dropped, listed, reply } from './case.ts';
import { call, model, result, tool, user } from './conversation.ts';
import { says } from './wire.ts';

/** Ids as each provider makes them; some make none. */
const idOf = (id: string, n: number): string | null =>
  id === 'mistral' ? `abcdEF12${n}` : ['gemini', 'ollama'].includes(id) ? null : `call_${n}`;
const weather = (city: string, unit = 'c') => ({ city, unit });
const made = (id: string, n: number, name: string, given: Record<string, unknown>) => ({
  id: idOf(id, n),
  name,
  arguments: given,
});
const answered = (name: string, given: object) => ({
  type: 'function',
  id: anyOf.filled,
  function: { name, arguments: JSON.stringify(given) },
});
const tools = [tool('get_weather'), tool('get-time', { type: 'object', properties: {} })];
const heardTools = (id: string) =>
  tools.map(({ function: each }) => ({
    // Its names have no hyphens; they are renamed both ways.
    name: id === 'cohere' ? each.name.replace('-', '_') : each.name,
    description: each.description,
  }));

export const toolCases: readonly Case[] = [
  chatCase('is offered tools, and calls one', {
    request: { tools },
    said: (id) => says('Let me look.', { calls: [made(id, 1, 'get_weather', weather('Bern'))] }),
    settings: (id) => ({ tools: heardTools(id) as never, toolUse: 'auto' }),
    answer: { text: 'Let me look.', finishReason: 'tool_calls', toolCalls: [answered('get_weather', weather('Bern'))] },
  }),
  chatCase('calls two tools at once, one of them by the name it was given', {
    request: { tools },
    said: (id) =>
      says('', {
        calls: [
          made(id, 1, 'get_weather', weather('Zürich "ZH"')),
          made(id, 2, id === 'cohere' ? 'get_time' : 'get-time', {}),
          made(id, 3, 'get_weather', weather('Genève')),
        ],
      }),
    answer: {
      text: '',
      finishReason: 'tool_calls',
      toolCalls: [
        answered('get_weather', weather('Zürich "ZH"')),
        answered('get-time', {}),
        answered('get_weather', weather('Genève')),
      ],
    },
  }),
  chatCase('hears calls and their results, in whatever order the results come', {
    request: {
      tools,
      messages: [
        user('Weather in Bern and Genève?'),
        model('Let me look.', {
          tool_calls: [
            call('call_a', 'get_weather', weather('Bern')),
            call('call_b', 'get_weather', weather('Genève')),
          ],
        }),
        result('call_b', 'windy'),
        result('call_a', '{"celsius": 18}'),
        user('And now?'),
      ],
    },
    meaning: [
      'user: Weather in Bern and Genève?',
      'model: Let me look.',
      `call 1: get_weather ${JSON.stringify(weather('Bern'))}`,
      `call 2: get_weather ${JSON.stringify(weather('Genève'))}`,
      'result of 2: windy',
      'result of 1: {"celsius":18}',
      'user: And now?',
    ],
  }),
  chatCase('hears every call with its result', {
    request: {
      tools,
      messages: [
        user('Weather in Bern and Genève?'),
        model(null, {
          tool_calls: [
            call('call_a', 'get_weather', weather('Bern')),
            call('call_b', 'get_weather', weather('Genève')),
          ],
        }),
        result('call_a', '{"celsius": 18}'),
        result('call_b', 'windy'),
        model('Mild, and windy.'),
        user('Thanks!'),
      ],
    },
    meaning: [
      'user: Weather in Bern and Genève?',
      `call 1: get_weather ${JSON.stringify(weather('Bern'))}`,
      `call 2: get_weather ${JSON.stringify(weather('Genève'))}`,
      'result of 1: {"celsius":18}',
      'result of 2: windy',
      'model: Mild, and windy.',
      'user: Thanks!',
    ],
  }),
  chatCase('hears that it may not use its tools', {
    request: { tools, tool_choice: 'none' },
    // One that cannot be told is not shown the tools.
    settings: (id) => (id === 'ollama' ? { tools: [] } : { toolUse: 'none' }),
  }),
  chatCase('hears that it must use a tool', {
    cannot: ['ollama'],
    request: { tools, tool_choice: 'required' },
    said: (id) => says('', { calls: [made(id, 1, 'get_weather', weather('Bern'))] }),
    settings: { toolUse: 'required' },
    answer: { finishReason: 'tool_calls' },
  }),
  chatCase('hears which tool it must use', {
    cannot: ['ollama'],
    request: { tools, tool_choice: { type: 'function', function: { name: 'get_weather' } } },
    said: (id) => says('', { calls: [made(id, 1, 'get_weather', weather('Bern'))] }),
    settings: (id) =>
      id === 'cohere'
        ? { toolUse: 'required', tools: [heardTools(id)[0]] as never }
        : { toolUse: { name: 'get_weather' } },
    answer: { finishReason: 'tool_calls' },
  }),
  chatCase('cannot be made to use a tool', {
    only: ['anthropic'],
    cannot: ['anthropic'],
    model: () => 'claude-opus-5-5',
    request: { tools, tool_choice: 'required' },
  }),
  chatCase('hears which tools it may use', {
    only: ['anthropic', 'gemini', 'cohere', 'mistral', 'ollama'],
    request: {
      tools,
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'get_weather' } }] },
      },
    },
    settings: (id) => (id === 'gemini' ? {} : { tools: [heardTools(id)[0]] as never, toolUse: 'auto' }),
  }),
  chatCase('hears to call one tool at a time', {
    request: { tools, parallel_tool_calls: false },
    settings: (id) => ({ parallel: ['gemini', 'cohere', 'ollama'].includes(id) }),
    warns: byId<readonly RegExp[]>([], listed(['cohere', 'ollama'], [/parallel/])),
  }),
  chatCase('calls one tool where one was asked for, though the server made two calls', {
    only: ['gemini'],
    request: { tools, parallel_tool_calls: false },
    said: (id) =>
      says('', { calls: [made(id, 1, 'get_weather', weather('Bern')), made(id, 2, 'get_weather', weather('Genève'))] }),
    answer: { toolCalls: [answered('get_weather', weather('Bern'))] },
    warns: () => [/parallel|call/],
  }),
];

/** Models whose rules are their own. */
export const modelCases: readonly Case[] = [
  chatCase('uses tools and thinks, on the surface that can do both', {
    only: ['openai'],
    model: () => 'gpt-5.4',
    request: { tools, reasoning_effort: 'low', max_tokens: 500, temperature: 0.5 },
    said: says('Looking.', {
      reasoning: 'I need the weather.',
      calls: [{ id: 'call_1', name: 'get_weather', arguments: weather('Bern') }],
      usage: { input: 40, output: 30, cacheRead: 8, reasoning: 20 },
    }),
    settings: { effort: 'low', maxTokens: 500, temperature: null },
    answer: {
      text: 'Looking.',
      reasoning: 'I need the weather.',
      reasoningDetails: [{}],
      toolCalls: [{ id: 'call_1', type: 'function', function: { name: 'get_weather' } }],
      finishReason: 'tool_calls',
      usage: { inputTokens: 40, outputTokens: 30, cacheReadTokens: 8, reasoningTokens: 20 },
    },
    warns: () => dropped('temperature'),
  }),
  chatCase('takes no sampling on newer models', {
    only: ['openai', 'anthropic'],
    model: byId('o4-mini', { anthropic: 'claude-opus-5' }),
    request: { temperature: 0.5, top_p: 0.5, max_tokens: 50 },
    settings: { temperature: null, topP: null, maxTokens: 50 },
    warns: () => dropped('temperature', 'top_p'),
  }),
  chatCase('thinks within a budget on older models', {
    only: ['anthropic', 'gemini'],
    request: { reasoning_effort: 'low', max_tokens: 8_000 },
    answer: { text: reply.text },
  }),
  chatCase('keeps the signature of a call', {
    only: ['gemini'],
    model: () => 'gemini-3-pro',
    request: { tools },
    said: says('', { calls: [{ id: null, name: 'get_weather', arguments: weather('Bern') }] }),
    answer: { finishReason: 'tool_calls', reasoningDetails: [{}] },
  }),
];

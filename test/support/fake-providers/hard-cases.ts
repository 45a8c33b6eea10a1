/** Requests that are allowed and awkward: what one provider takes, another refuses unless it is written otherwise. */
import { type Case, chatCase, dropped } from './case.ts';
import { call, model, pixelUri, result, tool, user } from './conversation.ts';

const tools = [tool('get-weather')];
const weather = { city: 'Bern', unit: 'c' };
const pdf = 'JVBERi0xLjQKJUVPRgo=';

export const hardCases: readonly Case[] = [
  chatCase('hears a conversation that the model began', {
    request: { messages: [model('Welcome!'), user('Hi')] },
    anyWarning: true,
  }),
  chatCase('hears messages of one side in a row', {
    request: { messages: [user('One.'), user('Two.'), model('A.'), model('B.'), user('Three.')] },
    anyWarning: true,
  }),
  chatCase('hears instructions in the middle and at the end', {
    request: {
      messages: [
        user('Hi'),
        model('Hello'),
        { role: 'system', content: 'Be brief.' },
        user('Go on'),
        { role: 'developer', content: 'Be kind.' },
      ],
    },
    anyWarning: true,
  }),
  chatCase('hears turns without a word', {
    request: {
      tools,
      messages: [
        { role: 'system', content: '' },
        user('Hi'),
        model(''),
        user([
          { type: 'text', text: ' ' },
          { type: 'text', text: 'Weather?' },
        ]),
        model('', { tool_calls: [call('call_a', 'get-weather', weather)] }),
        result('call_a', ''),
        user('So?'),
      ],
    },
    anyWarning: true,
  }),
  chatCase('hears a refusal in the history', {
    request: {
      messages: [
        user('Bad'),
        { role: 'assistant', content: null, refusal: 'No.' },
        user('Worse'),
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'No!' }] },
        user('Good'),
      ],
    },
    anyWarning: true,
  }),
  chatCase('hears reasoning of nobody in particular', {
    request: {
      messages: [
        user('Two and two?'),
        model('Four.', {
          reasoning_content: 'Easy.',
          reasoning_details: [{ origin: 'else/where', part: { type: 'thinking' } }],
        }),
        user('And three?'),
      ],
    },
    meaning: ['user: Two and two?', 'model: Four.', 'user: And three?'],
    anyWarning: true,
  }),
  chatCase('hears calls whose arguments are broken, or none', {
    request: {
      tools,
      messages: [
        user('Weather?'),
        model(null, {
          tool_calls: [
            { id: 'call_a', type: 'function', function: { name: 'get-weather', arguments: '{"city": "Be' } },
            { id: 'call_b', type: 'function', function: { name: 'get-weather', arguments: '' } },
            { id: 'call_c', type: 'function', function: { name: 'get-weather', arguments: '[1]' } },
          ],
        }),
        result('call_a', 'no'),
        result('call_b', 'no'),
        result('call_c', 'no'),
      ],
    },
    anyWarning: true,
  }),
  chatCase('hears calls whose ids no other provider would make', {
    request: {
      tools,
      messages: [
        user('Weather?'),
        model(null, {
          tool_calls: [call('call:1|a b', 'get-weather', weather), call('toolu_01ABC', 'get-weather', weather)],
        }),
        result('call:1|a b', 'mild'),
        result('toolu_01ABC', 'windy'),
      ],
    },
    anyWarning: true,
  }),
  chatCase('hears calls of tools it is no longer offered', {
    request: {
      messages: [
        user('Weather?'),
        model(null, { tool_calls: [call('call_a', 'get-weather', weather)] }),
        result('call_a', 'mild'),
        user('Thanks'),
      ],
    },
    anyWarning: true,
  }),
  chatCase('is offered a tool that takes nothing', {
    request: { tools: [{ type: 'function', function: { name: 'now' } }] },
    anyWarning: true,
  }),
  chatCase('is offered a tool of a strict schema', {
    request: { tools: [{ type: 'function', function: { ...tool('get-weather').function, strict: true } }] },
    anyWarning: true,
  }),
  chatCase('is asked for JSON beside its tools', {
    request: {
      tools,
      messages: [user('In JSON, please')],
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'a', schema: { type: 'object', properties: { a: { type: 'integer' } } } },
      },
    },
    // Its format excludes tools.
    cannot: ['cohere'],
    anyWarning: true,
  }),
  chatCase('is asked for JSON of a schema with bounds', {
    request: {
      response_format: {
        type: 'json_schema',
        json_schema: {
          name: 'bounded',
          schema: {
            type: 'object',
            properties: {
              pattern: { type: 'string', pattern: '^a', minLength: 1, maxLength: 5 },
              list: {
                type: 'array',
                items: { type: 'integer', minimum: 1, maximum: 9, multipleOf: 2 },
                minItems: 2,
                uniqueItems: true,
              },
              either: { oneOf: [{ type: 'string' }, { $ref: '#/$defs/inner' }] },
            },
            $defs: { inner: { type: 'object', properties: { x: { type: 'number', exclusiveMinimum: 0 } } } },
          },
        },
      },
    },
    anyWarning: true,
  }),
  chatCase('is asked to sample beyond its range', {
    request: { temperature: 1.9, top_p: 1, frequency_penalty: -1, presence_penalty: 1.5 },
    anyWarning: true,
  }),
  chatCase('is asked for one number of several kinds', {
    request: { temperature: 0, top_p: 0, seed: -3, logit_bias: { 50256: -100 } },
    anyWarning: true,
  }),
  chatCase('hears where the prompt may be cut for its cache', {
    request: {
      messages: [
        {
          role: 'system',
          content: [{ type: 'text', text: 'Long', prompt_cache_breakpoint: { mode: 'explicit', ttl: '1h' } }],
        },
        user([
          { type: 'text', text: 'Longer', prompt_cache_breakpoint: { mode: 'explicit' } },
          { type: 'text', text: 'Hi' },
        ]),
      ],
    },
    anyWarning: true,
  }),
  chatCase('hears a document, or says that it cannot', {
    only: ['anthropic', 'gemini', 'openai'],
    request: {
      messages: [
        user([
          { type: 'text', text: 'Read' },
          { type: 'file', file: { file_data: `data:application/pdf;base64,${pdf}`, filename: 'a.pdf' } },
        ]),
      ],
    },
    anyWarning: true,
  }),
  chatCase('cannot hear sounds', {
    only: ['anthropic', 'cohere', 'ollama', 'groq'],
    cannot: ['anthropic', 'cohere', 'ollama', 'groq'],
    request: { messages: [user([{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }])] },
  }),
  chatCase('hears sounds', {
    only: ['gemini', 'openai'],
    request: {
      messages: [
        user([
          { type: 'text', text: 'What?' },
          { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
        ]),
      ],
    },
    anyWarning: true,
  }),
  chatCase('hears several pictures among texts, in their order', {
    request: {
      messages: [
        user([
          { type: 'text', text: 'First' },
          { type: 'image_url', image_url: { url: pixelUri } },
          { type: 'image_url', image_url: { url: pixelUri } },
        ]),
        model('Two pixels.'),
        user('Sure?'),
      ],
    },
    anyWarning: true,
  }),
  chatCase('thinks as hard as can be said', {
    request: { reasoning_effort: 'max', max_completion_tokens: 2_000 },
    anyWarning: true,
  }),
  chatCase('thinks within a bound too small for it', {
    request: { reasoning_effort: 'high', max_completion_tokens: 100 },
    only: ['anthropic', 'gemini', 'cohere'],
    anyWarning: true,
  }),
  chatCase('thinks while it must call a tool', {
    only: ['anthropic', 'gemini', 'mistral'],
    request: { reasoning_effort: 'high', max_tokens: 4_000, tools, tool_choice: 'required' },
    anyWarning: true,
  }),
  chatCase('is given fields that its models refuse', {
    only: ['openai'],
    model: () => 'gpt-5.4',
    request: {
      temperature: 0.2,
      top_p: 0.5,
      frequency_penalty: 1,
      presence_penalty: 1,
      logit_bias: { 5: 1 },
      stop: ['x'],
    },
    warns: () => dropped('temperature', 'top_p', 'frequency_penalty', 'presence_penalty', 'logit_bias'),
  }),
];

import { expect, test } from 'vitest';
import { requiredCapabilities } from './capabilities.ts';
import { chatRequestSchema } from './request.ts';

const base = { model: 'default', messages: [{ role: 'user', content: 'Hi' }] };
const tools = [{ type: 'function', function: { name: 'weather' } }];
const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } };
const audio = { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } };
const file = { type: 'file', file: { file_data: 'data:application/pdf;base64,JVBERi0=' } };

test.for<[string, object, string[]]>([
  ['plain text needs nothing', {}, []],
  ['tools need tools', { tools }, ['tools']],
  ['an empty list of tools needs nothing', { tools: [] }, []],
  ['tools that may not be called need nothing', { tools, tool_choice: 'none' }, []],
  ['a required tool needs forcing', { tools, tool_choice: 'required' }, ['tools', 'forced_tool']],
  [
    'a named tool needs forcing',
    { tools, tool_choice: { type: 'function', function: { name: 'weather' } } },
    ['tools', 'forced_tool'],
  ],
  [
    'a choice among allowed tools needs no forcing',
    { tools, tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools } } },
    ['tools'],
  ],
  [
    'one tool of those allowed that must be called needs forcing',
    { tools, tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools } } },
    ['tools', 'forced_tool'],
  ],
  ['sound needs audio_input', { messages: [{ role: 'user', content: [audio] }] }, ['audio_input']],
  ['a file needs file_input', { messages: [{ role: 'user', content: [file] }] }, ['file_input']],
  [
    'parts of every kind need all of it, each once',
    { messages: [{ role: 'user', content: [file, audio, image, file, image] }] },
    ['vision', 'audio_input', 'file_input'],
  ],
  [
    'a schema needs json_schema',
    { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: {} } } },
    ['json_schema'],
  ],
  ['a JSON object needs json_object', { response_format: { type: 'json_object' } }, ['json_object']],
  ['a text format needs nothing', { response_format: { type: 'text' } }, []],
  ['an image needs vision', { messages: [{ role: 'user', content: [image] }] }, ['vision']],
  [
    'an image of an earlier turn needs vision',
    { messages: [{ role: 'user', content: [image] }, { role: 'assistant', content: 'A cat.' }, base.messages[0]] },
    ['vision'],
  ],
  ['log probabilities need logprobs', { logprobs: true }, ['logprobs']],
  ['no log probabilities need nothing', { logprobs: false }, []],
  ['one choice needs nothing', { n: 1 }, []],
  ['two choices need multiple_choices', { n: 2 }, ['multiple_choices']],
])('%s', ([, change, expected]) => {
  expect(requiredCapabilities(chatRequestSchema.parse({ ...base, ...change }))).toEqual(expected);
});

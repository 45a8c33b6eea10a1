import { expect, test } from 'vitest';
import { chatRequest } from '../fixture-call.ts';
import { toMessages } from './write-messages.ts';
import { toolNames } from './write-request.ts';

const target = 'cohere/m';
const hi = { role: 'user', content: 'Hi' };
const written = (...messages: object[]) => {
  const request = chatRequest({ messages: [...messages, hi] });
  return toMessages(request, target, toolNames(request)).slice(0, -1);
};
const call = (name: string) => ({ id: 'c1', type: 'function', function: { name, arguments: '{"a":1}' } });
const detail = (part: unknown, origin = target) => ({ origin, part });
const thinking = { type: 'thinking', thinking: 'Hm.' };
const plan = { type: 'tool_plan', tool_plan: 'I look it up.' };

test.for<[string, object, object[]]>([
  ['the system', { role: 'system', content: 'Be kind.' }, [{ role: 'system', content: 'Be kind.' }]],
  [
    'the developer, in parts',
    {
      role: 'developer',
      content: [
        { type: 'text', text: 'Be ' },
        { type: 'text', text: 'kind.' },
      ],
    },
    [{ role: 'system', content: 'Be kind.' }],
  ],
  ['a system that says nothing', { role: 'system', content: '' }, []],
  [
    'text and images',
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What?' },
        { type: 'text', text: '' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,QQ==' } },
        { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
        { type: 'image_url', image_url: { url: 'https://example.com/b.png', detail: 'original' } },
      ],
    },
    [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What?' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,QQ==', detail: undefined } },
          { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
          { type: 'image_url', image_url: { url: 'https://example.com/b.png', detail: 'high' } },
        ],
      },
    ],
  ],
  ['a user who says nothing', { role: 'user', content: [{ type: 'text', text: '' }] }, []],
  ['an answer', { role: 'assistant', content: 'Hello.' }, [{ role: 'assistant', content: 'Hello.' }]],
  ['an answer that says nothing', { role: 'assistant', content: null }, []],
  ['a refusal', { role: 'assistant', content: null, refusal: 'No.' }, [{ role: 'assistant', content: 'No.' }]],
  [
    'a refusal among the text',
    {
      role: 'assistant',
      content: [
        { type: 'text', text: 'Well. ' },
        { type: 'refusal', refusal: 'No.' },
      ],
    },
    [{ role: 'assistant', content: 'Well. No.' }],
  ],
  [
    'a call, by the name Cohere knows',
    { role: 'assistant', tool_calls: [call('get-weather')] },
    [{ role: 'assistant', tool_calls: [call('get_weather')] }],
  ],
  [
    'a result',
    { role: 'tool', tool_call_id: 'c1', content: [{ type: 'text', text: '12' }] },
    [{ role: 'tool', tool_call_id: 'c1', content: '12' }],
  ],
  [
    'reasoning it wrote itself',
    { role: 'assistant', content: 'Hello.', reasoning_content: 'Hm.', reasoning_details: [detail(thinking)] },
    [{ role: 'assistant', content: [thinking, { type: 'text', text: 'Hello.' }] }],
  ],
  [
    'a plan and reasoning before a call',
    { role: 'assistant', tool_calls: [call('f')], reasoning_details: [detail(thinking), detail(plan)] },
    [{ role: 'assistant', content: [thinking], tool_calls: [call('f')], tool_plan: 'I look it up.' }],
  ],
  [
    'a plan without a call',
    { role: 'assistant', content: 'Hello.', reasoning_details: [detail(plan)] },
    [{ role: 'assistant', content: 'Hello.' }],
  ],
  [
    'reasoning of another target',
    { role: 'assistant', content: 'Hello.', reasoning_details: [detail(thinking, 'anthropic/x')] },
    [{ role: 'assistant', content: 'Hello.' }],
  ],
  [
    'reasoning of no shape',
    { role: 'assistant', content: 'Hello.', reasoning_details: [detail(null), detail('x'), detail({ type: 'new' })] },
    [{ role: 'assistant', content: 'Hello.' }],
  ],
])('a message is written: %s', ([, message, expected]) => {
  expect(written(message)).toEqual(expected);
});

import { expect, test } from 'vitest';
import { chatRequest } from './fixture-call.ts';
import { isNineAlphanumeric, toolCallIds } from './tool-call-ids.ts';

const call = (id: string) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } });
const talk = (...ids: string[]) =>
  chatRequest({
    messages: [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: null, tool_calls: ids.map(call) },
      ...ids.map((id) => ({ role: 'tool', tool_call_id: id, content: 'x' })),
    ],
  });

test('an id that the server takes stays', () => {
  expect(toolCallIds(talk('aB3dE6gH9'), isNineAlphanumeric).toServer('aB3dE6gH9')).toBe('aB3dE6gH9');
});

test('any other gets a substitute of nine letters or digits, the same one every time', () => {
  const ids = toolCallIds(talk('toolu_01', 'call-2'), isNineAlphanumeric);
  expect(ids.toServer('toolu_01')).toMatch(/^[A-Za-z0-9]{9}$/);
  expect(ids.toServer('toolu_01')).not.toBe(ids.toServer('call-2'));
  expect(toolCallIds(talk('call-2', 'toolu_01'), isNineAlphanumeric).toServer('toolu_01')).toBe(
    ids.toServer('toolu_01'),
  );
});

test('a substitute is named back, and an id of the server is not touched', () => {
  const ids = toolCallIds(talk('toolu_01'), isNineAlphanumeric);
  expect(ids.toCaller(ids.toServer('toolu_01'))).toBe('toolu_01');
  expect(ids.toCaller('newAbc123')).toBe('newAbc123');
});

test('a substitute is never an id that another call has', () => {
  const taken = toolCallIds(talk('toolu_01'), isNineAlphanumeric).toServer('toolu_01');
  const ids = toolCallIds(talk('toolu_01', taken), isNineAlphanumeric);
  expect(ids.toServer(taken)).toBe(taken);
  expect(ids.toServer('toolu_01')).not.toBe(taken);
  expect(ids.toCaller(taken)).toBe(taken);
});

test('a result whose call is not there is renamed too', () => {
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'tool', tool_call_id: 'lost', content: 'x' },
  ];
  expect(toolCallIds(chatRequest({ messages }), isNineAlphanumeric).toServer('lost')).toMatch(/^\w{9}$/);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { callInput, readingOf } from '../fixture-call.ts';
import { cohereDialect } from './cohere.ts';

const tools = [{ type: 'function', function: { name: 'get-weather' } }];
const call = { id: 'c1', type: 'function', function: { name: 'get_weather', arguments: '{}' } };

test('a tool goes out by a name Cohere takes and comes back by its own, streamed or not', () => {
  const input = callInput({ tools });
  const written = cohereDialect.writeChat(input);
  expect(written).toMatchObject({ http: { body: expect.stringContaining('"get_weather"') } });
  const { reader } = readingOf('cohere', input);
  const expected = { kind: 'answer', answer: { toolCalls: [{ function: { name: 'get-weather' } }] } };
  expect(reader.readAnswer({ finish_reason: 'TOOL_CALL', message: { tool_calls: [call] } })).toMatchObject(expected);
  const stream = reader.createStreamReader(() => undefined);
  const events = [
    { type: 'tool-call-start', index: 0, delta: { message: { tool_calls: call } } },
    { type: 'message-end', delta: { finish_reason: 'TOOL_CALL' } },
  ];
  for (const event of events) stream.push(`data: ${JSON.stringify(event)}\n\n`);
  expect(stream.end()).toMatchObject(expected);
});

test('an empty answer is of no use', () => {
  const result = readingOf('cohere').reader.readAnswer({ finish_reason: 'COMPLETE', message: { content: [] } });
  expect(result).toMatchObject({ kind: 'failure', failure: { kind: 'bad_output' } });
});

test('what it cannot do is refused before anything is sent', () => {
  expect(cohereDialect.writeChat(callInput({ n: 2 })).kind).toBe('unsupported');
  expect(cohereDialect.lacks).toEqual(['multiple_choices', 'audio_input', 'file_input']);
});

test('an answer of any shape is read without throwing, streamed or not', () => {
  const types = [
    'message-start',
    'content-delta',
    'tool-plan-delta',
    'tool-call-start',
    'tool-call-delta',
    'message-end',
  ];
  const event = fc.record({ type: fc.constantFrom(...types), index: fc.jsonValue(), delta: fc.jsonValue() });
  const delta = fc.record({ type: fc.constantFrom(...types), delta: fc.record({ message: fc.jsonValue() }) });
  fc.assert(
    fc.property(fc.array(fc.oneof(event, delta), { maxLength: 6 }), fc.jsonValue(), (events, body) => {
      const { reader } = readingOf('cohere');
      const stream = reader.createStreamReader(() => undefined);
      for (const each of events) stream.push(`data: ${JSON.stringify(each)}\n\n`);
      expect(['answer', 'failure']).toContain(stream.end().kind);
      expect(['answer', 'failure']).toContain(reader.readAnswer(body).kind);
    }),
  );
});

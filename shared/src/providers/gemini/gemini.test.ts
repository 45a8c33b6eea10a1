/** The dialect as the rest of the system meets it. */
import { expect, test } from 'vitest';
import { callInput } from '../fixture-call.ts';
import { geminiDialect } from './gemini.ts';

function readerOf(request: object = {}) {
  const written = geminiDialect.writeChat(callInput(request));
  if (written.kind !== 'request') throw new Error(written.feature);
  return written.reader;
}
const call = { functionCall: { name: 'now', args: {} } };
const answer = (...parts: object[]) => ({ candidates: [{ content: { parts }, finishReason: 'STOP' }] });

test('it lacks what it cannot be asked for', () => {
  expect(geminiDialect.lacks).toEqual(['multiple_choices']);
  expect(geminiDialect.writeChat(callInput({ n: 2 }))).toEqual({ kind: 'unsupported', feature: 'multiple choices' });
});

test('an empty answer is a failure that keeps the bill', () => {
  const usageMetadata = { promptTokenCount: 3, totalTokenCount: 3 };
  expect(readerOf().readAnswer({ ...answer({ text: '' }), usageMetadata })).toMatchObject({
    kind: 'failure',
    failure: { kind: 'bad_output' },
    partial: { usage: { inputTokens: 3, outputTokens: 0 } },
  });
});

test.for([
  [{}, 2],
  [{ parallel_tool_calls: true }, 2],
  [{ parallel_tool_calls: false }, 1],
] as const)('a request with %j gets %i of two calls', ([request, count]) => {
  const result = readerOf(request).readAnswer(answer(call, call));
  expect(result.kind === 'answer' && result.answer.toolCalls.length).toBe(count);
});

test('a tool is declared, called and answered under a name Gemini takes, and named back', () => {
  const tools = ['2fast', 'plain'].map((name) => ({ type: 'function', function: { name } }));
  const calls = ['2fast', 'größe'].map((name) => ({ id: name, type: 'function', function: { name, arguments: '{}' } }));
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', tool_calls: calls },
    { role: 'tool', tool_call_id: '2fast', content: 'yes' },
  ];
  const tool_choice = { type: 'function', function: { name: '2fast' } };
  const written = geminiDialect.writeChat(callInput({ tools, messages, tool_choice }));
  if (written.kind !== 'request') throw new Error(written.feature);
  const body = JSON.parse(written.http.body);
  expect(body).toMatchObject({
    tools: [{ functionDeclarations: [{ name: '_2fast' }, { name: 'plain' }] }],
    toolConfig: { functionCallingConfig: { allowedFunctionNames: ['_2fast'] } },
  });
  expect(body.contents[1].parts).toMatchObject([
    { functionCall: { name: '_2fast' } },
    { functionCall: { name: 'gr__e' } },
  ]);
  expect(body.contents[2].parts).toMatchObject([{ functionResponse: { name: '_2fast' } }]);
  const named = answer(...['_2fast', 'plain', 'made_up'].map((name) => ({ functionCall: { name } })));
  expect(written.reader.readAnswer(named)).toMatchObject({
    answer: {
      toolCalls: [{ function: { name: '2fast' } }, { function: { name: 'plain' } }, { function: { name: 'made_up' } }],
    },
  });
});

test('an answer that goes on is written and read as such', () => {
  const written = geminiDialect.writeChat(callInput({}, { continuation: 'token-1' }));
  if (written.kind !== 'request') throw new Error(written.feature);
  expect(JSON.parse(written.http.body).continuationToken).toBe('token-1');
  expect(written.reader.readAnswer(answer({ text: 'lo', thoughtSignature: 's' }))).toMatchObject({
    answer: { text: 'lo', reasoningDetails: [] },
  });
});

test('what it signed goes back to it as it came, and to no other', () => {
  const read = readerOf().readAnswer(
    answer({ text: 'Hello', thoughtSignature: 's0' }, { ...call, thoughtSignature: 's1' }),
  );
  if (read.kind !== 'answer') throw new Error(read.failure.message);
  const { text, toolCalls, reasoningDetails } = read.answer;
  const details = reasoningDetails.map((part) => ({ origin: 'provider/m', part }));
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: text, tool_calls: toolCalls, reasoning_details: details },
    { role: 'tool', tool_call_id: toolCalls[0]?.id, content: 'noon' },
  ];
  const again = (target: string) => {
    const written = geminiDialect.writeChat(callInput({ messages }, { target }));
    if (written.kind !== 'request') throw new Error(written.feature);
    return { parts: JSON.parse(written.http.body).contents[1].parts, warnings: written.http.warnings };
  };
  const functionCall = { ...call.functionCall, id: toolCalls[0]?.id };
  expect(again('provider/m')).toEqual({
    parts: [
      { text: 'Hello', thoughtSignature: 's0' },
      { functionCall, thoughtSignature: 's1' },
    ],
    warnings: [],
  });
  expect(again('provider/other')).toEqual({
    parts: [{ text: 'Hello' }, { functionCall }],
    warnings: ['dropped reasoning of another target: it is bound to the endpoint that made it'],
  });
});

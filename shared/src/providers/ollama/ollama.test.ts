import { expect, test } from 'vitest';
import { callInput } from '../fixture-call.ts';
import { ollamaDialect } from './ollama.ts';

function readerOf() {
  const written = ollamaDialect.writeChat(callInput());
  if (written.kind === 'unsupported') throw new Error(`unsupported: ${written.feature}`);
  return written.reader;
}
const empty = {
  model: 'm',
  message: { content: '' },
  done: true,
  done_reason: 'stop',
  prompt_eval_count: 9,
  eval_count: 0,
};
const refused = { kind: 'failure', failure: { kind: 'bad_output' }, partial: { usage: { inputTokens: 9 } } };

test('an empty answer is a failure that is billed, streamed or not', () => {
  const stream = readerOf().createStreamReader(() => undefined);
  stream.push(JSON.stringify(empty));
  expect(stream.end()).toMatchObject(refused);
  expect(readerOf().readAnswer(empty)).toMatchObject(refused);
});

test('it has embeddings and log probabilities, and cannot be made to call a tool', () => {
  expect(ollamaDialect.embeddings).not.toBeNull();
  expect(ollamaDialect.lacks).not.toContain('logprobs');
  expect(ollamaDialect.lacks).toContain('forced_tool');
  expect(ollamaDialect.writeChat(callInput({ n: 2 }))).toEqual({ kind: 'unsupported', feature: 'several choices' });
});

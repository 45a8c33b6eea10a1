/** Answers of a server nobody can trust: every known field, holding anything. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { embeddingsRequestSchema } from '../../embeddings/request.ts';
import { callInput, nowMs } from '../fixture-call.ts';
import { openaiEmbeddings } from './embeddings.ts';
import { readAnswer } from './read-answer.ts';
import { createStreamReader } from './read-stream.ts';
import { readResponse } from './responses/read-answer.ts';
import { createResponseStreamReader } from './responses/read-stream.ts';

const fields = fc.constantFrom(
  ...'id model choices index message delta content text thinking refusal tool_calls function name arguments'.split(' '),
  ...'reasoning reasoning_content reasoning_details logprobs finish_reason usage prompt_tokens x_groq'.split(' '),
  ...'prompt_tokens_details cached_tokens output item summary call_id encrypted_content incomplete_details'.split(' '),
  ...'reason status response output_index data embedding object'.split(' '),
);
const leaf = fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null));
const words = fc.constantFrom(
  'message',
  'function_call',
  'reasoning',
  'completed',
  'incomplete',
  'thinking',
  'response',
);
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    leaf,
    fc.array(tie('tree'), { maxLength: 3 }),
    fc
      .tuple(fc.dictionary(fields, tie('tree'), { maxKeys: 6 }), fc.option(words))
      .map(([known, type]) => (type === null ? known : { type, ...known })),
  ),
}));
const answer = fc.record({
  choices: fc.array(fc.record({ message: tree, delta: tree, index: tree }), { maxLength: 3 }),
});
const response = fc.record({ output: fc.array(tree, { maxLength: 4 }), status: fc.oneof(words, tree), usage: tree });
const event = fc.record({
  type: fc.constantFrom(
    'response.created',
    'response.output_item.added',
    'response.output_text.delta',
    'response.function_call_arguments.delta',
    'response.reasoning_text.delta',
    'response.completed',
    'error',
  ),
  output_index: tree,
  item: tree,
  delta: tree,
  response: fc.oneof(response, tree),
});
const asked = { toCaller: (id: string) => id, nowMs };
const outcome = expect.stringMatching(/^(?:answer|failure)$/);

test('an answer is read, or is a failure', () => {
  fc.assert(
    fc.property(fc.oneof(answer, tree), (body) => {
      expect(readAnswer(body, asked).kind).toEqual(outcome);
    }),
  );
});

test('so is one of Responses', () => {
  fc.assert(
    fc.property(fc.oneof(response, tree), (body) => {
      expect(readResponse(body, asked).kind).toEqual(outcome);
    }),
  );
});

test('so are embeddings', () => {
  const request = embeddingsRequestSchema.parse({ model: 'm', input: 'Hi' });
  const written = openaiEmbeddings.write({ ...callInput(), request });
  if (written.kind !== 'request') throw new Error(`unsupported: ${written.feature}`);
  const { reader } = written;
  fc.assert(
    fc.property(fc.oneof(fc.record({ data: fc.array(tree, { maxLength: 2 }) }), tree), (body) => {
      expect(reader.readAnswer(body).kind).toEqual(outcome);
    }),
  );
});

test.for([
  ['chunks', fc.oneof(answer, tree), () => createStreamReader(() => undefined, asked)],
  ['events', event, () => createResponseStreamReader(() => undefined, asked)],
] as const)('a stream of any %s is read to its end, and what it held is known', ([, arbitrary, create]) => {
  fc.assert(
    fc.property(fc.array(arbitrary as fc.Arbitrary<unknown>, { maxLength: 5 }), (chunks) => {
      const reader = create();
      for (const each of chunks) reader.push(`data: ${JSON.stringify(each)}\n\n`);
      expect(typeof reader.partial().text).toBe('string');
      expect(reader.end().kind).toEqual(outcome);
    }),
  );
});

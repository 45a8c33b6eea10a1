import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import { type Usage, usageSchema } from '@waybill/shared/domain/usage.ts';
import type { EmbeddingsRequest } from '@waybill/shared/embeddings/request.ts';
import type { EmbeddingsAnswer } from '@waybill/shared/embeddings/response.ts';
import type { CallInput, Dialect } from '@waybill/shared/providers/dialect.ts';
import { plainQuirks } from '@waybill/shared/providers/quirks.ts';
import { expect, test } from 'vitest';
import type { Carried } from './carried.ts';
import type { Delivery, WireInput } from './delivery.ts';
import { createEmbeddingsWork } from './embeddings-work.ts';

const usageOf = (inputTokens: number): Usage => usageSchema.parse({ inputTokens, outputTokens: 0 });
const request: EmbeddingsRequest = { model: 'default', input: ['a', 'b', 'c', 'd', 'e'] };
const vectors: Carried = { kind: 'vectors', target: 'p/m', model: 'm-1', vectors: [[1], [2]], usage: usageOf(2) };
const wire: WireInput = {
  model: 'm',
  endpoint: 'http://p',
  credential: null,
  apiVersion: null,
  quirks: plainQuirks,
  target: 'p/m',
  contextWindow: null,
  nowMs: 0,
};
const alone = { turns: [], windowTokens: null };
const own = (count: number, more: Partial<EmbeddingsAnswer> = {}): EmbeddingsAnswer => ({
  vectors: Array.from({ length: count }, (_, index) => [10 + index]),
  model: 'm-1',
  providerId: null,
  usage: usageOf(count),
  warnings: [],
  ...more,
});

/** A dialect that takes two inputs at once. */
function play(answer: EmbeddingsAnswer, { carried = null, target = 'p/m', body = request }: PlayInput = {}) {
  const asked: CallInput<EmbeddingsRequest>[] = [];
  const write = (input: CallInput<EmbeddingsRequest>) => {
    asked.push(input);
    const reader = { readAnswer: () => ({ kind: 'answer', answer }) };
    return { kind: 'request', http: { url: '', headers: {}, body: '', warnings: [] }, reader };
  };
  const dialect = { embeddings: { maxInputs: 2, write } } as unknown as Dialect;
  const work = createEmbeddingsWork(body, { target, chain: chainOfTarget(target), carried, ...alone });
  const written = work.write(dialect, { ...wire, target });
  if (written.kind !== 'request') throw new Error('nothing was written');
  const read = written.reader.readAnswer(null);
  if (read.kind !== 'answer') throw new Error('nothing was answered');
  return { asked: asked[0]?.request.input, delivery: read.answer };
}
interface PlayInput {
  carried?: Carried | null;
  target?: string;
  body?: EmbeddingsRequest;
}
const outputOf = (delivery: Delivery) => JSON.parse(delivery.output({ jobId: 'job_1', createdAtMs: 0 }));

test('as many inputs are asked for as the provider takes, and what came is carried', () => {
  const { asked, delivery } = play(own(2));
  expect(asked).toEqual(['a', 'b']);
  expect(delivery).toMatchObject({
    carried: { kind: 'vectors', target: 'p/m', vectors: [[10], [11]], usage: usageOf(2) },
    kept: null,
    fault: null,
    usage: usageOf(2),
  });
});

test('the next part begins where the last one ended, and adds to it', () => {
  const { asked, delivery } = play(own(2), { carried: vectors });
  expect(asked).toEqual(['c', 'd']);
  expect(delivery.carried).toMatchObject({ vectors: [[1], [2], [10], [11]], usage: usageOf(4) });
  expect(delivery.usage, 'of this attempt alone').toEqual(usageOf(2));
});

test('the last part makes the list whole, in the order of the inputs', () => {
  const carried: Carried = { ...vectors, vectors: [[1], [2], [3], [4]], usage: usageOf(4) };
  const { asked, delivery } = play(own(1), { carried });
  expect(asked).toEqual(['e']);
  expect(delivery.carried).toBeNull();
  expect(outputOf(delivery)).toEqual({
    object: 'list',
    model: 'm-1',
    data: [1, 2, 3, 4, 10].map((value, index) => ({ object: 'embedding', index, embedding: [value] })),
    usage: { prompt_tokens: 5, total_tokens: 5 },
  });
});

test('the usage of the list is unknown when that of a part is', () => {
  const carried: Carried = { ...vectors, vectors: [[1], [2], [3], [4]], usage: null };
  expect(outputOf(play(own(1), { carried }).delivery).usage).toBeNull();
});

test.for([
  ['vectors of another target', vectors],
  ['a text', { kind: 'text', text: 'x', usage: null, rounds: 1 }],
] as const)('%s are not gone on from', ([, carried]) => {
  expect(play(own(2), { carried: carried as Carried, target: 'q/m' }).asked).toEqual(['a', 'b']);
});

test.for([1, 3])('%i vectors for two inputs are of no use', (count) => {
  const { delivery } = play(own(count));
  expect(delivery.fault).toMatchObject({
    failure: { kind: 'bad_output', message: `the answer holds ${count} vectors for 2 inputs` },
  });
});

test('one text is a list of one; in base64 when that is asked for', () => {
  const { asked, delivery } = play(own(1), { body: { model: 'default', input: 'a', encoding_format: 'base64' } });
  expect(asked).toEqual(['a']);
  const [{ embedding }] = outputOf(delivery).data;
  expect(Buffer.from(embedding, 'base64').readFloatLE()).toBe(10);
});

test('a dialect without embeddings is not called', () => {
  const dialect = { embeddings: null } as unknown as Dialect;
  const work = createEmbeddingsWork(request, { target: 'p/m', chain: chainOfTarget('p/m'), carried: null, ...alone });
  expect(work.write(dialect, wire)).toEqual({ kind: 'unsupported', feature: 'embeddings' });
});

/** `POST /embeddings`. */
import type { ChatServer } from './openai-chat-request.ts';
import {
  either,
  filled,
  type Json,
  list,
  need,
  object,
  oneOf,
  type Rule,
  refuseUnknown,
  text,
  whole,
} from './shape.ts';
import { type Asked, heard, num, type Surface, vectorOf } from './wire.ts';

const fields: Readonly<Record<string, Rule>> = {
  model: filled,
  input: either(filled, list(filled, 1, 2_048)),
  'encoding_format?': oneOf('float', 'base64'),
  'dimensions?': whole(1),
  'user?': text,
};

const mistralFields: Readonly<Record<string, Rule>> = {
  model: filled,
  input: either(filled, list(filled, 1)),
  'encoding_format?': oneOf('float', 'base64'),
  'output_dimension?': whole(1),
  'output_dtype?': oneOf('float'),
};

const toBase64 = (vector: readonly number[]): string => Buffer.from(new Float32Array(vector).buffer).toString('base64');

function answer({ body }: Asked): Json {
  const inputs = typeof body.input === 'string' ? [body.input] : (body.input as string[]);
  const vectors = inputs.map((input) => vectorOf(input, num(body.dimensions ?? body.output_dimension) ?? 3));
  const data = vectors.map((vector, index) => ({
    object: 'embedding',
    index,
    embedding: body.encoding_format === 'base64' ? toBase64(vector) : vector,
  }));
  return {
    object: 'list',
    model: body.model,
    // The specification promises an index, not an order.
    data: data.toReversed(),
    usage: { prompt_tokens: inputs.length * 3, total_tokens: inputs.length * 3 },
  };
}

export const embeddingsSurface = (
  name: string,
  server: Pick<ChatServer, 'auth' | 'unknown'>,
  path = /^\/embeddings$/,
): Surface => ({
  path,
  check({ headers, body, ignored }) {
    if (server.auth === 'bearer')
      need(/^Bearer \S+$/.test(headers.authorization ?? ''), 'Incorrect API key provided', { status: 401 });
    const onUnknown = server.unknown === 'refused' ? refuseUnknown : (field: string) => void ignored.push(field);
    object(name === 'mistral' ? mistralFields : fields, onUnknown)(body, '');
  },
  hear: ({ body }) =>
    heard({
      model: String(body.model),
      parts: [body.input].flat().map((each) => ({ who: 'user', text: String(each) })),
    }),
  isStreamed: () => false,
  whole: (_said, asked) => answer(asked),
  frames: () => [],
  streamType: 'application/json',
  midStreamError: '',
});

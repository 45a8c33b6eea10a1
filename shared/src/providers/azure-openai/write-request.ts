/**
 * Canonical requests -> Azure's: OpenAI's bodies, and OpenAI's reading of the answers, at another address.
 *
 * A deployment bears any name. Only one that tells its model is known to need the Responses surface; the others are
 * asked on Chat Completions, and their refusal routes the job on.
 */
import type { EmbeddingsRequest } from '../../embeddings/request.ts';
import type { EmbeddingsAnswer } from '../../embeddings/response.ts';
import type { CallInput, Wire, WriteResult } from '../dialect.ts';
import { openaiEmbeddings } from '../openai/embeddings.ts';
import { surfaceFor, writeToChat, writeToResponses } from '../openai/openai.ts';
import { asRecord } from '../provider-json.ts';
import { addressOf, headersOf, isDated } from './address.ts';

/** Younger than the last dated version, which refuses what it does not know. */
const youngerFields = ['prompt_cache_key', 'safety_identifier', 'verbosity'];

export function writeChat(input: CallInput): WriteResult {
  if (!isDated(input.apiVersion))
    return surfaceFor(input) === 'responses'
      ? atResource(writeToResponses(input), input, 'responses')
      : atResource(writeToChat(input), input, 'chat/completions');
  const drop = [...new Set([...input.quirks.drop, ...youngerFields])];
  const written = writeToChat({ ...input, quirks: { ...input.quirks, drop } });
  return atResource(withoutYoungerOptions(written), input, 'chat/completions');
}

export const writeEmbeddings = (input: CallInput<EmbeddingsRequest>): WriteResult<EmbeddingsAnswer> =>
  atResource(openaiEmbeddings.write(input), input, 'embeddings');

function atResource<A>(written: WriteResult<A>, wire: Wire, operation: string): WriteResult<A> {
  if (written.kind === 'unsupported') return written;
  return { ...written, http: { ...written.http, url: addressOf(wire, operation), headers: headersOf(wire) } };
}

/** Of the options of a stream, dated versions know that usage is wanted. */
function withoutYoungerOptions(written: WriteResult): WriteResult {
  if (written.kind === 'unsupported') return written;
  const body = asRecord(JSON.parse(written.http.body));
  if (body.stream_options === undefined) return written;
  const { include_usage } = asRecord(body.stream_options);
  return {
    ...written,
    http: { ...written.http, body: JSON.stringify({ ...body, stream_options: { include_usage } }) },
  };
}

/** For tests: a call to write, and the reading of its answer. */
import { type ChatRequest, chatRequestSchema } from '../chat/request.ts';
import type { Answer } from '../chat/response.ts';
import { Secret } from '../security/secret.ts';
import type { CallInput, DialectName } from './dialect.ts';
import { dialectOf } from './dialects.ts';
import { plainQuirks } from './quirks.ts';
import type { Reading } from './transport.ts';

const hello = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] };

export const chatRequest = (change: object = {}): ChatRequest => chatRequestSchema.parse({ ...hello, ...change });

export const nowMs = Date.parse('2026-11-21T12:00:00Z');

/** A plain call of "Hi" to model `m`, changed as asked. */
export const callInput = (request: object = {}, more: Partial<CallInput> = {}): CallInput => ({
  request: chatRequest(request),
  model: 'm',
  endpoint: 'https://api.test/v1',
  credential: new Secret('sk-test-1'),
  apiVersion: null,
  quirks: plainQuirks,
  stream: false,
  target: 'provider/m',
  contextWindow: null,
  continuation: null,
  nowMs,
  ...more,
});

/** How the answer to a plain call is read. */
export function readingOf(name: DialectName, input: CallInput = callInput()): Reading<Answer> {
  const dialect = dialectOf(name);
  const written = dialect.writeChat(input);
  if (written.kind === 'unsupported') throw new Error(`Cannot read an answer: ${name} cannot take ${written.feature}`);
  return { reader: written.reader, readError: dialect.readError };
}

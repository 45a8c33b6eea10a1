/** One real call of one token: what a list of models cannot prove. It may be billed. */

import { chatRequestSchema } from '@waybill/shared/chat/request.ts';
import { modelSettings } from '@waybill/shared/config/model-settings.ts';
import type { Reader } from '@waybill/shared/providers/dialect.ts';
import { dialectOf } from '@waybill/shared/providers/dialects.ts';
import { createTransport } from '@waybill/shared/providers/transport.ts';
import { say } from '../output.ts';
import { ownHeaders } from './ask-models.ts';
import type { Question } from './configured.ts';

export interface CallResult {
  readonly provider: string;
  readonly model: string;
  readonly credential: string | null;
  readonly status: 'ok' | 'failed';
  readonly latency_ms: number;
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
  readonly problem: string | null;
}

const totalMs = 120_000;
const firstByteMs = 60_000;

/** Said before the first of them: they are the only ones of these commands that may cost something. Of none nothing is said. */
export function announceCalls(calls: number, isMost = false): void {
  if (calls > 0)
    say(
      `Making ${isMost ? 'at most ' : ''}${calls} real call${calls === 1 ? '' : 's'} of one token; providers may bill them.`,
    );
}

/** @param onBody told the JSON that came, before it is read */
export async function callOnce(
  question: Question,
  model: string,
  signal: AbortSignal,
  onBody: (body: unknown) => void = () => undefined,
): Promise<CallResult> {
  const { provider, endpoint, credential } = question;
  const dialect = dialectOf(provider.dialect);
  const known = modelSettings(provider, model);
  const startedAt = performance.now();
  const base = { provider: provider.id, model, credential: credential?.name ?? null };
  const ended = (more: Partial<CallResult>): CallResult => ({
    ...base,
    status: 'failed',
    latency_ms: Math.round(performance.now() - startedAt),
    input_tokens: null,
    output_tokens: null,
    problem: null,
    ...more,
  });
  const written = dialect.writeChat({
    request: chatRequestSchema.parse({
      model,
      messages: [{ role: 'user', content: 'Say yes.' }],
      max_completion_tokens: 1,
    }),
    stream: false,
    target: `${provider.id}/${model}`,
    model: known.servedAs ?? model,
    endpoint,
    credential: credential?.secret ?? null,
    apiVersion: provider.apiVersion,
    quirks: provider.quirks,
    contextWindow: known.contextWindow,
    continuation: null,
    nowMs: Date.now(),
  });
  if (written.kind === 'unsupported') return ended({ problem: `it cannot take ${written.feature}` });
  const transport = createTransport({ connections: 1, connectMs: provider.timeouts.connectMs });
  try {
    const http = { ...written.http, headers: { ...written.http.headers, ...ownHeaders(question) } };
    const result = await transport.call(
      http,
      { reader: heard(written.reader, onBody), readError: dialect.readError },
      {
        stream: false,
        timeouts: { ...provider.timeouts, firstByteMs: Math.min(provider.timeouts.firstByteMs, firstByteMs), totalMs },
        signal: AbortSignal.any([signal, AbortSignal.timeout(totalMs)]),
      },
    );
    if (result.kind === 'stopped') return ended({ problem: `no whole answer within ${totalMs / 1_000} s` });
    const usage = (result.kind === 'answer' ? result.answer : result.partial)?.usage ?? null;
    const tokens = { input_tokens: usage?.inputTokens ?? null, output_tokens: usage?.outputTokens ?? null };
    // An answer of one token may be empty: the call went through all the same.
    if (result.kind === 'answer' || (result.failure.kind === 'bad_output' && result.meta.httpStatus === 200))
      return ended({ ...tokens, status: 'ok' });
    const { httpStatus, kind, message } = result.failure;
    const why = httpStatus === null || httpStatus < 300 ? message : `HTTP ${httpStatus}`;
    return ended({ ...tokens, problem: `${why} (${kind})` });
  } finally {
    await transport.close();
  }
}

const heard = (reader: Reader, onBody: (body: unknown) => void): Reader => ({
  ...reader,
  readAnswer(body) {
    onBody(body);
    return reader.readAnswer(body);
  },
});

/** Canonical request -> Chat Completions. Nearly the identity; presets say what a server refuses. */
import { outputLimitOf } from '../../chat/request.ts';
import type { CallInput, WriteResult } from '../dialect.ts';

export function writeRequest({ request, model, endpoint, credential, quirks, stream }: CallInput): WriteResult {
  const { max_completion_tokens: _long, max_tokens: _short, ...rest } = request;
  const limit = outputLimitOf(request);
  const body: Record<string, unknown> = { ...rest, model };
  if (limit !== null) body[quirks.maxTokensField] = limit;
  if (stream) {
    body.stream = true;
    if (quirks.streamUsage) body.stream_options = { include_usage: true };
  }
  // Reasoning parts belong to the endpoint that made them; Chat Completions servers refuse or ignore them.
  body.messages = request.messages.map((message) => {
    if (message.role !== 'assistant') return message;
    const { reasoning_content: _text, reasoning_details: _parts, ...plain } = message;
    return plain;
  });
  const warnings: string[] = [];
  for (const [field, value] of Object.entries(body)) {
    if (value === null || value === undefined) delete body[field];
    else if (quirks.drop.includes(field)) {
      delete body[field];
      warnings.push(`dropped "${field}": this provider does not take it`);
    }
  }
  return {
    kind: 'request',
    http: {
      url: `${endpoint}/chat/completions`,
      headers: {
        'content-type': 'application/json',
        ...(credential ? { authorization: `Bearer ${credential.reveal()}` } : {}),
      },
      body: JSON.stringify(body),
      warnings,
    },
  };
}

/** For tests: what this dialect writes. */
import type { CallInput } from '../dialect.ts';
import { callInput } from '../fixture-call.ts';
import { plainQuirks, type Quirks } from '../quirks.ts';
import { writeRequest } from './write-request.ts';

export const text = (value: string) => ({ type: 'text', text: value });
export const said = (role: string, ...content: object[]) => ({ role, content });
export const hi = said('user', text('Hi'));
export const user = { role: 'user', content: 'Hi' };
export const plain = { model: 'claude-haiku-4-5', max_tokens: 4_096, messages: [hi] };

const more = { model: plain.model, target: 'anthropic/claude-haiku-4-5' };

export const resultOf = (request: object = {}, change: Partial<CallInput> = {}, quirks: Partial<Quirks> = {}) =>
  writeRequest(callInput(request, { ...more, quirks: { ...plainQuirks, ...quirks }, ...change }));

export function write(request: object = {}, change: Partial<CallInput> = {}, quirks: Partial<Quirks> = {}) {
  const result = resultOf(request, change, quirks);
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  return { ...result.http, body: JSON.parse(result.http.body) as Record<string, unknown> };
}

/** Texts, tools and pictures that the conformance tests say and compare. */
import type { Heard, HeardPart } from './wire.ts';

export const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
export const pixelUri = `data:image/png;base64,${pixel}`;

export const weatherSchema = {
  type: 'object',
  properties: { city: { type: 'string', description: 'Its name' }, unit: { type: 'string', enum: ['c', 'f'] } },
  required: ['city', 'unit'],
  additionalProperties: false,
};

export const tool = (name: string, parameters: object = weatherSchema) => ({
  type: 'function',
  function: { name, description: `What ${name} does`, parameters },
});

export const user = (content: unknown) => ({ role: 'user', content });
export const model = (content: unknown, more: object = {}) => ({ role: 'assistant', content, ...more });
export const call = (id: string, name: string, given: object) => ({
  id,
  type: 'function',
  function: { name, arguments: JSON.stringify(given) },
});
export const result = (tool_call_id: string, content: string) => ({ role: 'tool', tool_call_id, content });

/**
 * What was said, in order, with calls and results numbered instead of named: ids differ from wire to wire, and some
 * wires have none, where a result belongs to the first call of its name that has none yet.
 */
export function meaningOf(parts: readonly HeardPart[]): string[] {
  const open: { number: number; id: string | null; name: string }[] = [];
  let calls = 0;
  return joinInstructions(parts).flatMap((part): string[] => {
    if ('bound' in part) return [];
    if ('image' in part) return [`image ${part.image}`];
    if ('call' in part) {
      calls += 1;
      open.push({ number: calls, id: part.call.id, name: part.call.name });
      return [`call ${calls}: ${part.call.name} ${JSON.stringify(part.call.arguments)}`];
    }
    if (part.who !== 'result') return [`${part.who}: ${part.text}`];
    const at = open.findIndex(({ id, name }) =>
      part.id !== null && id !== null ? id === part.id : name === part.name,
    );
    const [answered] = open.splice(at, at < 0 ? 0 : 1);
    return [`result of ${answered?.number ?? 'no call'}: ${normalJson(part.text)}`];
  });
}

/** Some wires hold all instructions in one text. */
function joinInstructions(parts: readonly HeardPart[]): HeardPart[] {
  const joined: HeardPart[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    const isNext = part.who === 'system' && last?.who === 'system';
    if (isNext) joined[joined.length - 1] = { who: 'system', text: `${last.text}\n\n${part.text}` };
    else joined.push(part);
  }
  return joined;
}

/** A result that is JSON may be sent as JSON: the spaces in it mean nothing. */
function normalJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

export const boundOf = ({ parts }: Heard): unknown[] => parts.flatMap((part) => ('bound' in part ? [part.bound] : []));

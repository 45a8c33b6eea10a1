/**
 * Thought signatures, as they travel in `reasoning_details`: what Gemini wants back on the very part it put them on.
 *
 * The canonical form joins an answer's texts and keeps calls apart, so that each signature says where it belongs. What
 * comes back was in the caller's hands, and is read like everything from outside.
 */
import { asCount, asRecord, asText, type Json } from '../provider-json.ts';

export type SignedPart =
  | { readonly type: 'tool_call'; readonly tool_call_id: string; readonly thought_signature: string }
  /** The part of the text from `start` to before `end`, in UTF-16 units. Both may be the same: an empty part. */
  | { readonly type: 'text'; readonly start: number; readonly end: number; readonly thought_signature: string }
  /** A summary of thoughts that is signed itself. */
  | { readonly type: 'thought'; readonly text: string; readonly thought_signature: string };

/** Null for anything else. */
export function readSignedPart(value: unknown): SignedPart | null {
  const part = asRecord(value);
  const thought_signature = asText(part.thought_signature);
  if (thought_signature === '') return null;
  if (part.type === 'tool_call')
    return { type: 'tool_call', tool_call_id: asText(part.tool_call_id), thought_signature };
  if (part.type === 'thought') return { type: 'thought', text: asText(part.text), thought_signature };
  const start = asCount(part.start);
  const end = asCount(part.end);
  return part.type === 'text' && start !== null && end !== null && start <= end
    ? { type: 'text', start, end, thought_signature }
    : null;
}

/** The text in the parts it came in: signed ones apart. Signatures that no longer fit the text are left out. */
export function splitText(text: string, signed: readonly SignedPart[]): Json[] {
  const parts: Json[] = [];
  let at = 0;
  for (const each of signed) {
    if (each.type !== 'text' || each.start < at || each.end > text.length) continue;
    if (each.start > at) parts.push({ text: text.slice(at, each.start) });
    parts.push({ text: text.slice(each.start, each.end), thoughtSignature: each.thought_signature });
    at = each.end;
  }
  if (at < text.length) parts.push({ text: text.slice(at) });
  return parts;
}

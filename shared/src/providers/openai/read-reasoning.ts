/** Where servers put what a model thought: text under several names, and parts that must go back as they came. */
import { asCount, asList, asRecord, asText, type Json } from '../provider-json.ts';

/** Of a message or of a delta of one. Some servers send the same text under two names. */
export function reasoningText(message: Json): string {
  return (
    asText(message.reasoning_content) ||
    asText(message.reasoning) ||
    thinkingText(message.content) ||
    detailsText(message.reasoning_details)
  );
}

/** Mistral: a part of the content, whose text is a text or a list of parts. */
const thinkingText = (content: unknown): string =>
  asList(content)
    .map(asRecord)
    .filter((part) => part.type === 'thinking')
    .map(({ thinking }) => asText(thinking) || textOfParts(thinking))
    .join('');

export const textOfParts = (parts: unknown): string =>
  asList(parts)
    .map((part) => asText(asRecord(part).text))
    .join('');

const detailsText = (details: unknown): string =>
  asList(details)
    .map(asRecord)
    .map((part) => asText(part.text) || asText(part.summary))
    .join('');

/** The fields of a part that stream in pieces. */
const growing = ['text', 'summary', 'data'] as const;

/** Adds a streamed piece to the parts so far: pieces of one type and index are one part. */
export function addReasoningPiece(parts: Json[], piece: Json): void {
  const index = asCount(piece.index);
  const part = parts.findLast((each) => each.type === piece.type && asCount(each.index) === index);
  const isNew = part === undefined || (piece.type === 'reasoning.encrypted' && index === null);
  if (isNew) {
    parts.push({ ...piece });
    return;
  }
  for (const [field, value] of Object.entries(piece)) {
    if (value === null || value === undefined) continue;
    const isText = growing.some((each) => each === field) && typeof value === 'string';
    part[field] = isText ? asText(part[field]) + value : value;
  }
}

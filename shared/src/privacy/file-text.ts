/** The text of files that travel as base64: what says it is text, and what looks like it whatever it says. */

const header = /^\s{0,8}data:([^,;]{0,200})(?:;[^,;]{0,200}){0,8},/i;
const base64Mark = /;\s*base64\s*,$/i;
const notBase64 = /[^A-Za-z0-9+/_=\s-]/;
const textType =
  /^(?:text\/|application\/(?:json|xml|yaml|x-yaml|toml|sql|csv|rtf|javascript|x-ndjson|jsonl|x-www-form-urlencoded)|.*\+(?:json|xml|yaml))/i;

/**
 * The text of a data URI's file; empty when the file is not text.
 * @returns null when it is no data URI in base64, and so has to be read as it stands
 */
export function fileTextOf(uri: string): string | null {
  const head = header.exec(uri.slice(0, 2_048));
  if (head === null) return null;
  const [start, type = ''] = head;
  return base64Mark.test(start) ? payloadText(uri.slice(start.length), type.trim()) : null;
}

/** @returns empty when the payload is not text, null when it is not base64 */
export function payloadText(payload: string, type: string): string | null {
  if (notBase64.test(payload)) return null;
  const isText = textType.test(type) || looksLikeText(Buffer.from(payload.slice(0, sampleChars), 'base64'));
  return isText ? decode(Buffer.from(payload, 'base64')) : '';
}

const sampleChars = 4_096;

/** Formats with a binary body begin with, or soon hold, bytes that no text has. */
function looksLikeText(sample: Uint8Array): boolean {
  if (hasWideMark(sample)) return true;
  if (sample.some((byte) => byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d)) return false;
  try {
    // `stream` forgives a character that the sample's end cuts in two.
    new TextDecoder('utf-8', { fatal: true }).decode(sample, { stream: true });
    return Buffer.from(sample.subarray(0, 5)).toString('latin1') !== '%PDF-';
  } catch {
    return false;
  }
}

const hasWideMark = ([first, second]: Uint8Array): boolean =>
  (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);

function decode(bytes: Uint8Array): string {
  if (!hasWideMark(bytes)) return new TextDecoder('utf-8').decode(bytes);
  return new TextDecoder(bytes[0] === 0xff ? 'utf-16le' : 'utf-16be').decode(bytes);
}

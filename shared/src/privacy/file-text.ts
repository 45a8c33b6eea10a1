/**
 * The text of files that travel as base64, and whether that is all they say.
 *
 * Bytes are text when they are UTF-8 or UTF-16, or when nothing in them speaks against Windows-1252, which gives a
 * meaning to every byte. A type that claims to be text is believed as to its control characters; any other type is not
 * believed at all, because `application/vnd.ms-excel` is what browsers call a table in CSV.
 */

export interface FileText {
  /** What could be made out. */
  readonly text: string;
  /** False: the file is not text, so that it says more, or something else. */
  readonly isWhole: boolean;
}

const header = /^\s{0,8}data:([^,;]{0,200})(?:;[^,;]{0,200}){0,8},/i;
const base64Mark = /;\s*base64\s*,$/i;
const notBase64 = /[^A-Za-z0-9+/_=\s-]/;
const textType =
  /^(?:text\/|application\/(?:json|xml|yaml|x-yaml|toml|sql|csv|rtf|javascript|x-ndjson|jsonl|x-www-form-urlencoded)|.*\+(?:json|xml|yaml))/i;

/** @returns null when it is no data URI in base64, and so has to be read as it stands */
export function fileTextOf(uri: string): FileText | null {
  const head = header.exec(uri.slice(0, 2_048));
  if (head === null) return null;
  const [start, type = ''] = head;
  return base64Mark.test(start) ? payloadText(uri.slice(start.length), type.trim()) : null;
}

/** Of the payload, so that of most pictures little is decoded. */
const sampleChars = 4_096;

/** @returns null when the payload is not base64 */
export function payloadText(payload: string, type: string): FileText | null {
  if (notBase64.test(payload)) return null;
  const isCalledText = textType.test(type);
  const sample = Buffer.from(payload.slice(0, sampleChars), 'base64');
  const form = wideForm(sample);
  if (!isCalledText && form === null && rareControl.test(sample.toString('latin1')))
    return { text: '', isWhole: false };
  const bytes = Buffer.from(payload, 'base64');
  const text = isPdf(sample) ? null : wholeText(bytes, form, isCalledText);
  if (text !== null) return { text, isWhole: true };
  // What claims to be text may still hold some.
  return { text: isCalledText ? new TextDecoder(form ?? 'utf-8').decode(bytes) : '', isWhole: false };
}

type WideForm = 'utf-16le' | 'utf-16be';

/** Told by its mark; or by the NULs that Western letters, digits and blanks have for a half in UTF-16. */
function wideForm(sample: Uint8Array): WideForm | null {
  const [first, second] = sample;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  const nulsAt = (parity: number): number => sample.filter((byte, place) => byte === 0 && place % 2 === parity).length;
  const [even, odd] = [nulsAt(0), nulsAt(1)];
  // With fewer, or with many at both, they fill up the fields of another format.
  const [fewer, more] = [Math.min(even, odd), Math.max(even, odd)];
  if (more < 0.375 * sample.length || 20 * fewer > more || more === 0) return null;
  return odd > even ? 'utf-16le' : 'utf-16be';
}

/** All but tabs, line ends, bell, backspace, form feed, escape, and the mark that ended files once. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const rareControl = /[\0-\x06\x0e-\x19\x1c-\x1f]/;

/** null: not text. */
function wholeText(bytes: Uint8Array, form: WideForm | null, isCalledText: boolean): string | null {
  if (form !== null) {
    const text = decode(bytes, form);
    return text === null || rareControl.test(text) ? null : text;
  }
  const text = decode(bytes, 'utf-8');
  if (text !== null && isCalledText) return text.includes('\0') ? null : text;
  const guess = text ?? new TextDecoder('windows-1252').decode(bytes);
  return rareControl.test(guess) ? null : guess;
}

function decode(bytes: Uint8Array, form: WideForm | 'utf-8'): string | null {
  try {
    return new TextDecoder(form, { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Its pages are compressed as a rule, and what is not is not in the order it is read in. */
const isPdf = (sample: Buffer): boolean =>
  /(?:^(?:\xef\xbb\xbf)?|[\r\n])[\t ]*%PDF-[0-9]/.test(sample.toString('latin1', 0, 1_024));

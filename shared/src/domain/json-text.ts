/**
 * Reads JSON from outside, with the limits that keep the rest safe.
 *
 * Depth is checked on the text, before parsing: 14 KB of brackets parse, and then break `JSON.stringify`, every
 * recursive reader and the embedded database. The same limits hold for requests, JSONL lines and provider answers.
 */
import { Problem } from './problem.ts';

export const jsonLimits = { depth: 64, properties: 1_000, items: 10_000 } as const;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

/** Decodes UTF-8 and strips a byte order mark. Throws `invalid_utf8`. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new Problem('invalid_utf8', `Cannot decode the text: not UTF-8 at byte ${firstInvalidByte(bytes)}`, {
      cause,
    });
  }
}

function firstInvalidByte(bytes: Uint8Array): number {
  const lenient = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(bytes);
  let offset = 0;
  for (const char of lenient) {
    const isReplacement = char === '\uFFFD';
    if (isReplacement && !(bytes[offset] === 0xef && bytes[offset + 1] === 0xbf && bytes[offset + 2] === 0xbd))
      return offset;
    offset += Buffer.byteLength(char);
  }
  return offset;
}

/**
 * Parses JSON text within the limits.
 * @throws Problem `json_too_deep too_many_properties too_many_items number_out_of_range invalid_json forbidden_key`
 */
export function parseJson(text: string): unknown {
  checkStructure(text, callerLimits);
  return parse(text);
}

/** Parses a provider's JSON: the depth limit alone, because an answer may list more, and write `-0.0`. */
export function parseAnswerJson(text: string): unknown {
  checkStructure(text, null);
  return parse(text);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Problem('invalid_json', `Cannot parse the JSON: ${positionOf(cause, text)}`, { cause });
  }
}

/** As `parseJson`, and the top level must be an object. */
export function parseJsonObject(text: string): Record<string, unknown> {
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const what = value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
    throw new Problem('body_must_be_object', `Cannot use the JSON: the top level must be an object, received ${what}`);
  }
  return value as Record<string, unknown>;
}

/** V8 quotes the text around an error, which may be a prompt; only the position is passed on. */
function positionOf(cause: unknown, text: string): string {
  const at = faultPosition(String(cause), text);
  const line = text.slice(0, at).split('\n').length;
  return at >= text.length
    ? `it ends too early, at position ${text.length}`
    : `unexpected character at position ${at} (line ${line})`;
}

const isUnexpectedToken = (message: string): boolean => message.startsWith('SyntaxError: Unexpected token ');

/** V8 names no position for an unexpected token: it is the last character of the shortest text that fails so. */
function faultPosition(message: string, text: string): number {
  const named = / JSON at position (\d+)(?: \([^)]*\))?$/.exec(message)?.[1];
  if (named !== undefined) return Number(named);
  if (!isUnexpectedToken(message)) return text.length;
  let [good, bad] = [0, text.length];
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (isUnexpectedToken(errorOf(text.slice(0, middle)))) bad = middle;
    else good = middle;
  }
  return good;
}

function errorOf(text: string): string {
  try {
    JSON.parse(text);
    return '';
  } catch (cause) {
    return String(cause);
  }
}

interface SizeLimits {
  readonly properties: number;
  readonly items: number;
}
const callerLimits: SizeLimits = jsonLimits;

interface Container {
  readonly isObject: boolean;
  count: number;
}

/** One pass over the text: nesting, sizes, keys and numbers. Malformed text is left to `JSON.parse`. */
function checkStructure(text: string, limits: SizeLimits | null): void {
  const open: Container[] = [];
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charCodeAt(i);
    if (c === 0x22) {
      const end = endOfString(text, i);
      if (isProtoText(text.slice(i, end + 1)) && isFollowedByColon(text, end + 1)) {
        throw new Problem('forbidden_key', 'Cannot accept the JSON: the key "__proto__" is not allowed');
      }
      i = end;
    } else if (c === 0x7b || c === 0x5b) {
      open.push({ isObject: c === 0x7b, count: 1 });
      if (open.length > jsonLimits.depth) {
        throw new Problem('json_too_deep', `Cannot accept the JSON: it nests deeper than ${jsonLimits.depth} levels`);
      }
    } else if (c === 0x7d || c === 0x5d) open.pop();
    else if (limits && c === 0x2c) countItem(open.at(-1), limits);
    else if (limits && (c === 0x2d || (c >= 0x30 && c <= 0x39))) i = checkNumber(text, i);
  }
}

/** Escapes included: `"\u005f_proto__"` is the same key. At most six characters stand for one. */
function isProtoText(source: string): boolean {
  if (source.length < 11 || source.length > 56) return false;
  const decoded = source.replaceAll(/\\u00([0-7][0-9a-f])/gi, (_, hex: string) =>
    String.fromCharCode(Number(`0x${hex}`)),
  );
  return decoded === '"__proto__"';
}

function isFollowedByColon(text: string, start: number): boolean {
  let i = start;
  while (/\s/.test(text.charAt(i))) i += 1;
  return text.charAt(i) === ':';
}

function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i += 1) {
    const c = text.charCodeAt(i);
    if (c === 0x5c) i += 1;
    else if (c === 0x22) return i;
  }
  return text.length;
}

function countItem(container: Container | undefined, limits: SizeLimits): void {
  if (!container) return;
  container.count += 1;
  if (container.isObject && container.count > limits.properties) {
    throw new Problem(
      'too_many_properties',
      `Cannot accept the JSON: an object has more than ${limits.properties} properties`,
    );
  }
  if (!container.isObject && container.count > limits.items) {
    throw new Problem('too_many_items', `Cannot accept the JSON: a list has more than ${limits.items} items`);
  }
}

/** Refuses numbers that a double cannot hold: beyond 2^53, overflowing, vanishing, or minus zero. */
function checkNumber(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && /[0-9.eE+-]/.test(text.charAt(end))) end += 1;
  const source = text.slice(start, end);
  const value = Number(source);
  const isLostInteger = /^-?\d+$/.test(source) && !Number.isSafeInteger(value);
  const isVanished = value === 0 && /[1-9]/.test(source.split(/[eE]/)[0] ?? '');
  if (!Number.isNaN(value) && (isLostInteger || isVanished || !Number.isFinite(value) || Object.is(value, -0))) {
    throw new Problem(
      'number_out_of_range',
      `Cannot accept the JSON: the number ${source.slice(0, 40)} cannot be held exactly`,
    );
  }
  return end - 1;
}

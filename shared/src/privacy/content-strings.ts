/**
 * Every text a request holds, wherever it stands: all strings, numbers and keys, whatever field they belong to, so that
 * a field added to the request later is read too.
 *
 * Three things are put in another form. A value carries its key, because "ssn" says what nine digits are. The texts of
 * one message's parts are also read as one, because the model reads them so. Of a file sent as base64 only its text is
 * read: in the characters of an image, finding something would mean nothing.
 */
import { type FileText, fileTextOf, payloadText } from './file-text.ts';

/** What a file that is not text counts as: as all that was looked for, or as nothing. */
export const unreadFileRules = ['found', 'pass'] as const;
export type UnreadFiles = (typeof unreadFileRules)[number];

/** Requests nest at most 64 levels; deeper ones, or ones that hold themselves, did not come from JSON. */
const maxDepth = 256;

interface Place {
  readonly value: unknown;
  /** The nearest key above, and the one above that; a list's items have the list's. */
  readonly key: string;
  readonly parent: string;
  readonly depth: number;
}

/**
 * @throws TypeError when there is no request, or when a file in it is not text and counts as found
 * @throws RangeError when it nests deeper than any request may
 */
export function* contentStrings(request: object, unreadFiles: UnreadFiles): Generator<string> {
  if (typeof request !== 'object' || request === null) throw new TypeError('the request is no object');
  const open: Place[] = [{ value: request, key: '', parent: '', depth: 0 }];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { value, key, parent, depth } = place;
    if (depth > maxDepth) throw new RangeError('the request nests too deep');
    if (typeof value === 'string') yield* textsOf(place, value, unreadFiles);
    // At the top stand numbers such as the seed, which say nothing about anybody.
    else if (typeof value === 'number' && depth > 1) yield withKey(key, String(value));
    else if (Array.isArray(value)) {
      for (const item of value) open.push({ value: item, key, parent, depth: depth + 1 });
      yield* joinedParts(value);
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, item] of Object.entries(value)) {
        // A text carries its key itself.
        if (typeof item !== 'string') yield name;
        open.push({ value: item, key: name, parent: key, depth: depth + 1 });
      }
    }
  }
}

const withKey = (key: string, text: string): string => (key === '' ? text : `${key}: ${text}`);

/** Where a file may stand; anywhere else base64 is a text that the model reads as it is. */
const filePlaces = new Set(['image_url.url', 'file.file_data', 'input_audio.data']);

function* textsOf({ key, parent }: Place, text: string, unreadFiles: UnreadFiles): Generator<string> {
  const place = `${parent}.${key}`;
  const isFile = filePlaces.has(place);
  const file = place === 'input_audio.data' ? payloadText(text, '') : fileTextOf(text);
  if (file !== null && file.text !== '') yield file.text;
  if (isFile && file !== null) yield withKey(key, text.slice(0, text.indexOf(',') + 1));
  else yield withKey(key, text);
  if (unreadFiles === 'found' && isUnread(place, text, file)) throw new TypeError('a file is not text');
}

/** Pictures and sound are no texts. What stands in the place of a picture and is not called one may be a document. */
function isUnread(place: string, uri: string, file: FileText | null): boolean {
  if (place === 'file.file_data') return file === null ? /^\s*data:/i.test(uri) : !file.isWhole;
  if (place !== 'image_url.url' || !/^\s*data:/i.test(uri) || /^\s*data:\s*image\//i.test(uri)) return false;
  // One that is not in base64 was read as it stands, which says all of a text only.
  return file === null ? !/^\s*data:\s*(?:text\/|[;,])/i.test(uri) : !file.isWhole;
}

/** Providers put the parts of a message together, and so does this: a number may be cut in two by a part's end. */
function* joinedParts(list: readonly unknown[]): Generator<string> {
  const texts = list.flatMap((part) => {
    const text: unknown = (part as { text?: unknown } | null)?.text;
    return typeof text === 'string' ? [text] : [];
  });
  if (texts.length > 1) yield texts.join('');
}

/**
 * The forms in which a text is searched: as it is, and as its reader sees it.
 *
 * Full-width digits, zero-width characters, odd spaces and dashes, JSON escapes and percent-encoding hide nothing from
 * a model, so they hide nothing here. The text as it is stays among the forms, because undoing can also glue: a
 * footnote mark after a number turns into one more digit.
 */
import { urlPassword, urlUser } from './url-password.ts';

const plain = /^[^\u0080-\uffff\\%]*$/;

export function readableForms(text: string): readonly string[] {
  if (plain.test(text)) return [text];
  const shown = unify(unescapeText(text));
  return shown === text ? [text] : [text, shown];
}

/** A backslash run counts as one: JSON in a string in JSON doubles it each time. */
const escapedUnit = /(?<!\\)\\+u([0-9a-fA-F]{4})/g;
const escapedBreak = /(?<!\\)\\+[nrtbf]/g;
const escapedSign = /(?<!\\)\\+(?=["'/])/g;
/** A password in a URL stays as it is: an `@` or a `#` that it holds would end it. */
const percentAscii = new RegExp(`(?<=://${urlUser}{0,100}):${urlPassword}{1,200}@|%([2-7][0-9a-fA-F])`, 'g');

const fromHex = (unit: string, hex: string | undefined): string =>
  hex === undefined ? unit : String.fromCharCode(Number.parseInt(hex, 16));

function unescapeText(text: string): string {
  const unescaped = text.includes('\\')
    ? text.replace(escapedUnit, fromHex).replace(escapedBreak, '\n').replace(escapedSign, '')
    : text;
  return unescaped.includes('%') ? unescaped.replace(percentAscii, fromHex) : unescaped;
}

/**
 * Marks go before the normalisation: nothing looked for needs them, and sorting a long run of them takes quadratic
 * time. Default ignorables are the zero-width characters, soft hyphens, variation selectors and tags.
 */
const unseen = /[\p{M}\p{Default_Ignorable_Code_Point}]/gu;
const dashes = /[\p{Pd}\u2212]/gu;
const fullStops = /[\u3002\u06d4]/g;
const spaces = /[\u1680\u2028\u2029\u0085]/g;
const foreignDigits = /(?![0-9])\p{Nd}/gu;

const unify = (text: string): string =>
  text
    .replace(unseen, '')
    .normalize('NFKC')
    .replace(unseen, '')
    .replace(dashes, '-')
    .replace(fullStops, '.')
    .replace(spaces, ' ')
    .replace(foreignDigits, asciiDigit);

let digitValues: ReadonlyMap<string, string> | null = null;

/** Unicode keeps decimal digits in runs from zero to nine, in order: the place within all of them gives the value. */
function asciiDigit(digit: string): string {
  digitValues ??= new Map(
    Array.from({ length: 0x1ffff }, (_, code) => String.fromCodePoint(code))
      .filter((each) => /^\p{Nd}$/u.test(each))
      .map((each, place) => [each, String(place % 10)]),
  );
  return digitValues.get(digit) ?? digit;
}

/**
 * Phone numbers: with `+` or `00` and a country code; in the groups of North America; in groups behind a zero; or as
 * any digits behind a word such as "phone". Bare digits are an amount, an id or a time far more often than a phone.
 */
import { type DigitGroups, readDigitGroups } from './digit-groups.ts';

/** E.164 allows 15 digits, country code included. */
const [fewest, most] = [7, 15];

export const holdsPhone = (text: string): boolean =>
  holdsInternational(text) ||
  holdsWithDoubleZero(text) ||
  northAmerican.test(text) ||
  northAmericanInParentheses.test(text) ||
  holdsNational(text) ||
  isNamed(text, nouns, fewest) ||
  isNamed(text, verbs, 10);

/** As wide as `) - ` and ` (0) ` need it. */
const separator = /[ .\-/()]{1,4}/y;

const plus = /(?<![A-Za-z0-9+])\+ ?\(?(?=[1-9])/g;

function holdsInternational(text: string): boolean {
  for (const { 0: sign, index } of text.matchAll(plus)) {
    if (hasPrefix(readDigitGroups(text, index + sign.length, separator, most), isInternational)) return true;
  }
  return false;
}

const doubleZero = /(?<![A-Za-z0-9+]|[0-9][ .,:/-])00 ?(?=[1-9])/g;

function holdsWithDoubleZero(text: string): boolean {
  const isPhone = (number: DigitGroups): boolean =>
    number.groups.length > 1 && lengthOf(number) >= 9 && !isDump(number) && isInternational(number);
  for (const { 0: zeros, index } of text.matchAll(doubleZero)) {
    if (hasPrefix(readDigitGroups(text, index + zeros.length, separator, most), isPhone)) return true;
  }
  return false;
}

/** `0041 0042 0043`: code points or bytes, four digits each. */
const isDump = ({ groups: [first, ...rest] }: DigitGroups): boolean =>
  first?.length === 2 && rest.every((group) => group.length === 4);

/** Other numbers may follow a phone number after a space: any of its beginnings that ends with a group counts. */
function hasPrefix({ groups, separators }: DigitGroups, isPhone: (number: DigitGroups) => boolean): boolean {
  return groups.some((_, n) => isPhone({ groups: groups.slice(0, n + 1), separators: separators.slice(0, n) }));
}

const lengthOf = ({ groups }: DigitGroups): number => groups.join('').length;

/** The country codes of ITU-T E.164 that are assigned; +1 and +7 have numbers of one length. */
const countryCode =
  /^(?:1[2-9]\d{9}$|7\d{10}$|2(?:[07]|1[1-368]|[2346]|5[0-8]|9[0-9])|3(?:[0-469]|5|7|8[0-35-9])|4(?:[013-9]|2[013])|5(?:[1-8]|0|9)|6(?:[0-6]|7[02-9]|8|9[0-2])|8(?:[1246]|0[08]|5[0256]|7|8[0-38])|9(?:[0-58]|6|7|9))/;

function isInternational(number: DigitGroups): boolean {
  const digits = number.groups.join('');
  if (digits.length < fewest || digits.length > most || !countryCode.test(digits)) return false;
  // Without groups, what is short or round is an amount: +1500000.
  if (number.groups.length === 1) return digits.length >= 9 && !digits.endsWith('000000');
  return !isAmount(number) && !isDecimal(number);
}

/** `+12.345.678` and `+12 345 678`: thousands. */
function isAmount({ groups, separators }: DigitGroups): boolean {
  const isThousands = groups.slice(1).every((group) => group.length === 3);
  return isThousands && (groups.join('').length <= 8 || separators.every((each) => each === '.'));
}

/** `+40.712776` and `+40.7128-074.0060`: places. `+49.3012345678` is how domain registries write a phone number. */
function isDecimal({ groups, separators }: DigitGroups): boolean {
  if (groups.length === 2) return separators[0] === '.' && (groups[1] ?? '').length < 8;
  return separators[0] === '.' && separators[1] === '-' && (groups[1] ?? '').length > 3;
}

const northAmerican =
  /(?<![A-Za-z0-9]|[A-Za-z0-9][-./_])(?:1[-. ])?[2-9][0-9]{2}([-.])[0-9]{3}\1[0-9]{4}(?![0-9_]|[-.][0-9])/;
const northAmericanInParentheses =
  /(?<![A-Za-z0-9(])(?:1[-. ])?\([2-9][0-9]{2}\) ?-? ?[0-9]{3}[ .-][0-9]{4}(?![0-9_]|[-.][0-9])/;

/** Not within a longer row of numbers. */
const trunkZero = /(?<![A-Za-z0-9(]|[A-Za-z0-9][ .,:/_-])\(?(?=0[1-9])/g;
const nationalSeparator = /\.|\)? ?[-/]? ?/y;

function holdsNational(text: string): boolean {
  for (const { 0: bracket, index } of text.matchAll(trunkZero)) {
    const start = index + bracket.length;
    const number = readDigitGroups(text, start, nationalSeparator, most);
    const end = start + lengthOf(number) + number.separators.join('').length;
    // `01-23-45-67-89-ab` is the address of a network card.
    if (isNational(number, bracket !== '') && !/^-?[A-Za-z0-9_]/.test(text.slice(end, end + 2))) return true;
  }
  return false;
}

/** `030 1234567` and `020 7946 0958` have ten or eleven digits; brackets around the area code make shorter ones sure. */
function isNational({ groups, separators }: DigitGroups, isInBrackets: boolean): boolean {
  const [area = '', ...rest] = groups;
  const [first = '', ...others] = separators;
  const length = groups.join('').length;
  if (rest.length === 0 || rest.length > 4 || area.length < 2 || area.length > 5) return false;
  if (rest.some((group) => group.length < 2) || isInBrackets !== first.includes(')')) return false;
  if (new Set(others).size > 1 || others.some((each) => !/^[ .-]$/.test(each))) return false;
  if (isInBrackets) return length >= 8 && length <= 12;
  // Two groups of digits around a dot are a decimal number; a slash may only follow the area code.
  return length >= 10 && length <= 11 && (first !== '.' || others[0] === '.');
}

/** Any word that ends in phone will do, but an iPhone has a model. */
const nouns =
  /(?:(?<!i)phone|(?<!\p{L})(?:tel|t[ée]l[ée]fono?|téléphone|telephon|mobile?|m[óo]vil|handy|fax|whats ?app|msisdn|rufnummer|(?:handy|mobil|telefon)nummer|電話番号|電話|电话|手机号?))/giu;
const verbs = /(?<![\p{L}_])(?:call|dial|text (?:me|us)|ring|sms|cell|contact)(?=[^\p{L}])/giu;
/** What may stand between the word and the number. */
const between =
  /^(?:[ _-]?(?:numbers?|num|nummer|nr|no|n°|home|work|office|me|us|him|her|them|on|at|is|back|now)(?!\p{L})){0,3}["')\]]{0,3}\s{0,3}[:=.#]{0,2}[\s"'([:]{0,4}/iu;
const number = /^\+?\(?[0-9](?:[ .\-/()]{0,3}[0-9]){6,14}(?![0-9]|[A-Za-z_])/;
const dateOrAddress =
  /^(?:[0-9]{4}[-./][0-9]{1,2}[-./][0-9]{1,2}|[0-9]{1,2}[-./][0-9]{1,2}[-./][0-9]{4}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?![0-9])/;

function isNamed(text: string, words: RegExp, fewestDigits: number): boolean {
  for (const { 0: word, index } of text.matchAll(words)) {
    const after = text.slice(index + word.length, index + word.length + 120);
    const rest = after.slice(between.exec(after)?.[0].length ?? 0);
    // "phone12345678" is a name.
    const found = rest === after ? undefined : number.exec(rest)?.[0];
    if (found !== undefined && !dateOrAddress.test(rest) && found.replace(/[^0-9]/g, '').length >= fewestDigits)
      return true;
  }
  return false;
}

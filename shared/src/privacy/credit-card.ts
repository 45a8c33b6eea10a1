/**
 * Payment card numbers: 13 to 19 digits of a known issuer, with a right check digit, in the groups cards are printed
 * in. Digits inside a longer number, word or decimal are none.
 *
 * Groups that stand further apart than by a space or a dash are read too, but not in tables: they have rows and columns
 * of four digits, and one in ten passes the check.
 */
import { type DigitGroups, readDigitGroups } from './digit-groups.ts';

const [fewest, most] = [13, 19];
/** Issuer by its first digits, and the lengths it gives out. */
const issuers: readonly (readonly [prefix: RegExp, lengths: readonly number[]])[] = [
  [/^4/, [13, 16, 18, 19]], // Visa
  [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]], // Mastercard
  [/^3[47]/, [15]], // American Express
  [/^(?:6011|64[4-9]|65)/, [16, 17, 18, 19]], // Discover
  [/^(?:30[0-5]|309|36|38|39)/, [14, 15, 16, 17, 18, 19]], // Diners Club
  [/^35(?:2[89]|[3-8])/, [16, 17, 18, 19]], // JCB
  [/^(?:62|81)/, [16, 17, 18, 19]], // UnionPay, RuPay
  [/^(?:50|5[6-9]|6304|6390|67)/, [13, 14, 15, 16, 17, 18, 19]], // Maestro, Dankort, Elo, Verve
  [/^220[0-4]/, [16, 17, 18, 19]], // Mir
  [/^(?:60|636|82|9792)/, [16]], // RuPay, Hipercard, Elo, Troy
];

const group = /[0-9]+/g;
const separator = /[ -]/y;
const printedShape = /^(?:4,4,4,[1-7]|4,4,4,4,[1-3]|4,6,[45]|4,4,5|6,1[0-3])$/;

/** Wider than a space or a dash: several blanks or tabs, the end of a line, a dot, a dash between blanks. */
const spreadShapes: readonly RegExp[] = ['[ \\t]{1,8}', '[ \\t]{0,4}\\r?\\n[ \\t]{0,4}', '\\.', ' - '].map((gap) => {
  const groups = `[0-9]{4}${gap}(?:[0-9]{4}${gap}[0-9]{4}${gap}[0-9]{4}|[0-9]{6}${gap}[0-9]{4,5})(?![0-9])`;
  const before = `(?<![A-Za-z0-9_]|[0-9][.-]|[0-9]{4}${gap})`;
  const behind = `(?![A-Za-z0-9]|_[A-Za-z0-9]|[.-][0-9]|${gap}[0-9]{4})`;
  return new RegExp(`${before}(${groups})(${gap}[0-9]{1,3}(?![0-9]))?${behind}`, 'g');
});

/** Of a card in groups with dashes. */
const securityCode = /^-[0-9]{3,4}(?![A-Za-z0-9_]|[.-][0-9])/;

/** Every group of a sequence may begin a card: a count, or another card, may stand before it. */
export function holdsCreditCard(text: string): boolean {
  for (const { index } of text.matchAll(group)) {
    if (begins(text, index) && hasCard(text, index)) return true;
  }
  return holdsSpreadCard(text);
}

/** Not in a word, nor behind a decimal point; an underscore joins a word only when a letter or digit precedes it. */
const begins = (text: string, at: number): boolean =>
  !/(?:[A-Za-z]|[A-Za-z0-9]_|[0-9][.-])$/.test(text.slice(Math.max(0, at - 2), at));

const ends = (text: string, at: number): boolean =>
  !/^(?:[A-Za-z]|_[A-Za-z0-9]|[.-][0-9])/.test(text.slice(at, at + 2));

function hasCard(text: string, start: number): boolean {
  const isFirst = !/[0-9][ -]$/.test(text.slice(Math.max(0, start - 2), start));
  if (!isFirst && !/^(?:[0-9]{4}(?:[0-9]{2})?(?![0-9])|[0-9]{13})/.test(text.slice(start, start + fewest)))
    return false;
  // One digit more than a card has tells that the sequence goes on.
  const read = readDigitGroups(text, start, separator, most);
  let end = start;
  let digits = '';
  for (const [n, each] of read.groups.entries()) {
    digits += each;
    end += each.length;
    if (digits.length > most) return false;
    const isWhole = isFirst && n === read.groups.length - 1;
    if (digits.length >= fewest && isShape(read, n, isWhole) && endsAt(text, end, read, n) && isCardNumber(digits))
      return true;
    end += read.separators[n]?.length ?? 0;
  }
  return false;
}

const endsAt = (text: string, at: number, { separators }: DigitGroups, last: number): boolean =>
  ends(text, at) || (last > 1 && separators[0] === '-' && securityCode.test(text.slice(at, at + 7)));

/** Where most of what has the shape is no card, it is a table, and the one that passes the check does so by chance. */
const holdsSpreadCard = (text: string): boolean =>
  spreadShapes.some((shape) => {
    const areCards = [...text.matchAll(shape)].map(isSpreadCard);
    const count = areCards.filter(Boolean).length;
    return count > 0 && 2 * count >= areCards.length;
  });

/** Behind the groups of a card may stand its last digits or its security code. */
const isSpreadCard = ([, card = '', more = '']: RegExpMatchArray): boolean =>
  [card, card + more].some((each) => isCardNumber(each.replace(/[^0-9]/g, '')));

/** One number, the groups of a printed card, or any other grouping with one separator that has no digits beside it. */
function isShape({ groups, separators }: DigitGroups, last: number, isWhole: boolean): boolean {
  const lengths = groups.slice(0, last + 1).map((each) => each.length);
  const isRegular = new Set(separators.slice(0, last)).size <= 1;
  return isRegular && (last === 0 || isWhole || printedShape.test(lengths.join()));
}

function isCardNumber(digits: string): boolean {
  const isIssued = issuers.some(([prefix, lengths]) => prefix.test(digits) && lengths.includes(digits.length));
  return isIssued && weighted(digits, luhnWeight) && !isBarcode(digits);
}

/** Thirteen digits are far more often an article's number (EAN-13), which has a check digit of its own. */
const isBarcode = (digits: string): boolean =>
  digits.length === 13 && weighted(digits, (digit, isSecond) => (isSecond ? 3 * digit : digit));

const luhnWeight = (digit: number, isSecond: boolean): number => {
  const doubled = isSecond ? 2 * digit : digit;
  return doubled > 9 ? doubled - 9 : doubled;
};

/** Whether the weighted sum, counted from the last digit, ends in zero. */
const weighted = (digits: string, weigh: (digit: number, isSecond: boolean) => number): boolean =>
  [...digits].reverse().reduce((sum, digit, place) => sum + weigh(Number(digit), place % 2 === 1), 0) % 10 === 0;

/**
 * US social security numbers. `123-45-6789` is enough by itself; nine digits, or other separators, count only near a
 * word that says what they are. Areas 000, 666 and 900 to 999, group 00 and serial 0000 were never given out.
 */

const dashed =
  /(?<![A-Za-z0-9_]|[A-Za-z0-9_][-.])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?!-?[A-Za-z0-9_]|\.[0-9])/;
const named = /(?<![A-Za-z0-9])(?!000|666|9)[0-9]{3}([-. ]?)(?!00)[0-9]{2}\1(?!0000)[0-9]{4}(?![A-Za-z0-9])/;

const word = /(?<![a-z])ssns?(?![a-z])|social[ _-]{0,2}security|(?<![a-z])ss ?(?:#|no\b|number)/gi;
/** As `userSsn` and `ssnOfUser` have it, which ignoring the case would confuse with `lessness`. */
const wordInCamelCase = /Ssns?(?![a-z])|(?<![A-Za-z])ssn(?=[A-Z])/g;
/** How far from the word a number may stand, in characters. */
const nearby = 48;

export function holdsUsSsn(text: string): boolean {
  return dashed.test(text) || isNamed(text, word) || isNamed(text, wordInCamelCase);
}

function isNamed(text: string, words: RegExp): boolean {
  for (const { 0: found, index } of text.matchAll(words)) {
    if (named.test(around(text, index - nearby, index + found.length + nearby))) return true;
  }
  return false;
}

/** A number that is cut in two at an edge goes whole: half of it could look like one. */
function around(text: string, from: number, to: number): string {
  const part = text.slice(Math.max(0, from), to);
  const open = from > 0 ? part.replace(/^[A-Za-z0-9]+/, '') : part;
  return to < text.length ? open.replace(/(?<![A-Za-z0-9])[A-Za-z0-9]+$/, '') : open;
}

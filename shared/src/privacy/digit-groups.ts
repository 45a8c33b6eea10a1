/** Reads numbers that people write in groups: `4111 1111 1111 1111`, `+49 (0)30 123-456`. */

export interface DigitGroups {
  readonly groups: readonly string[];
  /** What stands between two groups: one fewer than groups. */
  readonly separators: readonly string[];
}

/**
 * The groups from `start` on, until something else comes or there are more than `maxDigits` digits.
 * @param separator sticky; matches what may stand between two digits
 */
export function readDigitGroups(text: string, start: number, separator: RegExp, maxDigits: number): DigitGroups {
  const groups: string[] = [];
  const separators: string[] = [];
  let at = start;
  for (let count = 0; count <= maxDigits; ) {
    const group = digitsAt(text, at, maxDigits + 1 - count);
    if (group === '') break;
    groups.push(group);
    count += group.length;
    at += group.length;
    separator.lastIndex = at;
    const between = separator.exec(text)?.[0];
    if (between === undefined || !isDigit(text, at + between.length)) break;
    separators.push(between);
    at += between.length;
  }
  return { groups, separators: separators.slice(0, Math.max(0, groups.length - 1)) };
}

function digitsAt(text: string, start: number, max: number): string {
  let end = start;
  while (end - start < max && isDigit(text, end)) end += 1;
  return text.slice(start, end);
}

export function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

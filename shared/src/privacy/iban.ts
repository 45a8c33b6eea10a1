/**
 * International bank account numbers (ISO 13616): a known country, its length, and the check digits.
 * Written together or in groups, in either case, glued to the word IBAN before them or to letters behind them. The check
 * digits make it safe to read groups that stand far apart.
 */

/** Length by country, as the IBAN registry has it; the second line is in use without being registered. */
const lengths: ReadonlyMap<string, number> = new Map(
  `AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
   AO25 BF28 BJ28 CF27 CG27 CI28 CM27 CV25 DZ26 GA27 GQ27 GW25 IR26 KM27 MA28 MG27 ML28 MZ25 NE28 SN28 TD27 TG28`
    .split(/\s+/)
    .map((each) => [each.slice(0, 2), Number(each.slice(2))]),
);

const start = /(?:(?<![A-Za-z0-9])|(?<=[Ii][Bb][Aa][Nn]))(?:[A-Za-z]{2}[0-9]{2}|[A-Z]{2}(?:[ \t]{1,8}|[.-])[0-9]{2})/g;
const letterOrDigit = /[A-Za-z0-9]/;
/** May stand between two groups. */
const gap = /[ \t\r\n]{1,8}|[.-]/y;
/** May follow without a space: the word BIC, or one without a digit. */
const nextWord = /(?:BIC|SWIFT|[A-Z]{2,20}(?![A-Z0-9]))/iy;
/** Running text that happens to pass the check has fewer: every registered form has more. */
const fewestDigits = 8;

export function holdsIban(text: string): boolean {
  for (const { 0: head, index } of text.matchAll(start)) {
    const length = lengths.get(head.slice(0, 2).toUpperCase());
    const account = length === undefined ? null : readAccount(text, index, length);
    if (account !== null && account.replace(/[^0-9]/g, '').length >= fewestDigits && remainder(account) === 1)
      return true;
  }
  return false;
}

/** `length` letters and digits, with or without gaps; null when there are fewer, or when they are part of more. */
function readAccount(text: string, index: number, length: number): string | null {
  let account = '';
  let at = index;
  while (account.length < length) {
    const width = letterOrDigit.test(text.charAt(at)) ? 0 : widthAt(text, at, gap);
    if (!letterOrDigit.test(text.charAt(at + width))) return null;
    account += text.charAt(at + width).toUpperCase();
    at += width + 1;
  }
  const isEnd = !letterOrDigit.test(text.charAt(at)) || (/[0-9]$/.test(account) && widthAt(text, at, nextWord) > 0);
  return isEnd ? account : null;
}

/** Of what the sticky pattern matches there; zero when it does not. */
function widthAt(text: string, at: number, pattern: RegExp): number {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length ?? 0;
}

/** Modulo 97 over the account number, then the country and check digits; A is 10, Z is 35. */
const remainder = (account: string): number =>
  [...account.slice(4), ...account.slice(0, 4)].reduce(
    (sum, char) => (sum * (/[0-9]/.test(char) ? 10 : 100) + Number.parseInt(char, 36)) % 97,
    0,
  );

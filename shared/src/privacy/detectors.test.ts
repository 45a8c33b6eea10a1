import { describe, expect, test } from 'vitest';
import { createApiKey } from '../security/api-key.ts';
import { type DetectorKind, detectorKinds, kindsInText } from './detectors.ts';

const found = (text: string) => kindsInText(text, detectorKinds);

const letters = 'Ab3dEf7hIjKlMn0pQrStUv2xYz5'.repeat(5);
const hex = '0123456789abcdef'.repeat(5);
/** In two halves, so that no scanner of repositories takes an example for a secret. */
const example = (prefix: string, body: string) => `${prefix}${body}`;

describe('finds', () => {
  const cases: Readonly<Record<DetectorKind, readonly string[]>> = {
    email: [
      'john@example.com',
      'Write to John.Doe+news@mail.example.co.uk, please.',
      '<mailto:a@b.de>',
      'user@163.com',
      "o'brien@example.ie",
      'josé@exämple.de',
      '用户@例子.广告',
      'x@xn--bcher-kva.example',
      '"john doe"@example.com',
      'root@[192.168.0.1]',
      'root@[IPv6:2001:db8::1]',
      'ask john@example.com.Next sentence',
      'john@example.com—soon',
      '連絡はjohn@example.comまで',
      'a@b@c.example.org',
      '?email=john%40example.com&x=1',
      'john@corp.local',
    ],
    phone: [
      '+491701234567',
      '+49 170 1234567',
      '+49 (0)30 123 45 67',
      '+44 20 7946 0958',
      '+1 (555) 123-4567',
      '+1-555-123-4567',
      '+1.5551234567',
      '+33 6 12 34 56 78',
      '+33.6.12.34.56.78',
      '+298 123 456',
      'call +49 170 1234567 2024-01-15',
      '0049 30 1234567',
      '(555) 123-4567',
      '555-123-4567',
      '1-800-555-0199',
      '415.555.2671',
      '020 7946 0958',
      '0171/1234567',
      '0171 / 123 45 67',
      '(030) 123456',
      '06 12 34 56 78',
      '06.12.34.56.78',
      'Phone: 5551234567',
      'Tel. 1234567',
      'my mobile number is 0791234567',
      'Call me at 123-456-7890',
      'text me: 5551234567',
      '{"phone_number":"5551234567"}',
      'userPhone=5551234567',
      '电话：13812345678',
      'tel:+49-30-1234567',
    ],
    iban: [
      'DE89370400440532013000',
      'DE89 3704 0044 0532 0130 00',
      'IBAN: de89 3704 0044 0532 0130 00.',
      'GB82 WEST 1234 5698 7654 32',
      'GB82-WEST-1234-5698-7654-32',
      'FR1420041010050500013M02606',
      'NO9386011117947',
      'MT84MALT011000012345MTLCAST001S',
      'DE 89 370400440532013000 is mine',
      '"NL91ABNA0417164300"',
    ],
    credit_card: [
      '4111111111111111',
      '4111 1111 1111 1111',
      '4111-1111-1111-1111',
      '4222222222222',
      '5555555555554444',
      '2223003122003222',
      '378282246310005',
      '3782 822463 10005',
      '6011111111111117',
      '30569309025904',
      '3056 930902 5904',
      '3530111333300000',
      '6200000000000005',
      '6759649826438453',
      '2200000000000004',
      '4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1',
      '41 11 11 11 11 11 11 11',
      'Card 1 4111 1111 1111 1111 12/29 123',
      'v4 3.14 4111 1111 1111 1111',
      '4111111111111111,5555555555554444',
      'card:4111111111111111.',
      'カード4111111111111111です',
      '_4111 1111 1111 1111_',
    ],
    us_ssn: [
      '123-45-6789',
      'It is 123-45-6789.',
      '"ssn":"123456789"',
      'SSN 123 45 6789',
      'social security number: 123456789',
      '123456789 is my Social-Security number',
      'userSsn=123456789',
      'ssnOfUser: 123456789',
      'SS# 123.45.6789',
    ],
    secret: [
      example('sk-', letters.slice(0, 48)),
      example('sk-proj-', letters.slice(0, 48)),
      example('sk-ant-api03-', letters.slice(0, 95)),
      example('sk-or-v1-', hex.slice(0, 64)),
      example('AKIA', 'IOSFODNN7EXAMPLE'),
      example('ASIA', 'IOSFODNN7EXAMPLE'),
      example('aws_secret_access_key = ', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'),
      example('"secretAccessKey":"', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"'),
      example('ghp_', letters.slice(0, 36)),
      example('ghs_', letters.slice(0, 36)),
      example('github_pat_', `${letters.slice(0, 22)}_${letters.slice(0, 59)}`),
      example('glpat-', letters.slice(0, 20)),
      example('npm_', letters.slice(0, 36)),
      example('xoxb-', '123456789012-123456789012-abcdefABCDEF'),
      example('xapp-', '1-A0123456789-0123456789012-abcdef'),
      example('https://hooks.slack.com/services/', 'T00000000/B00000000/abcdefghABCDEFGH01234567'),
      example('AIza', letters.slice(0, 35)),
      example('sk_live_', letters.slice(0, 24)),
      example('rk_live_', letters.slice(0, 24)),
      example('SK', hex.slice(0, 32)),
      example('auth_token: ', hex.slice(0, 32)),
      example('SG.', `${letters.slice(0, 22)}.${letters.slice(0, 43)}`),
      example('hf_', letters.slice(0, 34)),
      example('gsk_', letters.slice(0, 52)),
      example('123456789:AA', letters.slice(0, 33)),
      example('AccountName=x;AccountKey=', `${letters.slice(0, 86)}==;`),
      example('SharedAccessKey=', `${letters.slice(0, 43)}=`),
      example('whsec_', letters.slice(0, 32)),
      example('eyJhbGciOiJIUzI1NiJ9', '.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcDEF_123-456'),
      example('eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0', '..abcDEF_123-456.abcDEF_123-456.abcDEF'),
      example('-----BEGIN RSA ', 'PRIVATE KEY-----\nMIIE'),
      example('-----BEGIN ', 'PRIVATE KEY-----'),
      example('-----BEGIN PGP ', 'PRIVATE KEY BLOCK-----'),
      example('Authorization: Bearer ', letters.slice(0, 30)),
      example('postgres://app:', 'n0tShown@db.example.internal:5432/app'),
      createApiKey().text,
    ],
  };
  test.each(detectorKinds.flatMap((kind) => cases[kind].map((text) => [kind, text] as const)))(
    '%s: %s',
    (kind, text) => {
      expect(found(text)).toContain(kind);
      // In the middle of a sentence as well.
      expect(found(`See: ${text} (thanks)`)).toContain(kind);
    },
  );
});

describe('finds nothing in', () => {
  test.each([
    'The meeting is @ 10.30, @home or @ the office.',
    'npm install @types/node@26.1.0 react@18.0.0-rc.1 left-pad@latest',
    'git@github.com:owner/repository.git',
    'ssh://git@gitlab.example.com/owner/repository',
    '<img src="logo@2x.png">',
    '@Component.selector @media.print',
    'user@localhost',
    'john@example.png, john@-a.com, john@.com, ___@example.com, @example.com',
    `john@${'a-'.repeat(40)}b.com, john@${'.'.repeat(300)}com`,
    'a@b.c',
    example('https://user:$', '{PASSWORD}@example.com/'),
    '1234567890',
    'order 20240115123456, invoice 4711-2024-000123',
    '2024-01-15T10:30:00+0100',
    '2024-01-15 10:30:45, 15.01.2024, 01/15/2024, 01-02-2024 10:30',
    '1700000000, 1700000000000, 1700000000000000',
    '192.168.100.100, 10.0.0.1:8080, 255.255.255.255',
    '$1,234,567.89, 1.234.567,89 €, +1,234,567, +12.345.678, +12 345 678, +1500000',
    'v1.2.3, 10.15.7, 2024.1.15.2, 0.12.34567890',
    '+5 points, UTC+2, C++ 11 2014 2017, a+b, 1+2345678901',
    '+40.712776, -74.005974 and +40.7128-074.0060',
    '0041 0042 0043 0044, 0000: 7f45 4c46 0201',
    '550e8400-e29b-41d4-a716-446655440000',
    '41111111-1111-1111-1111-111111111111',
    'ISBN 978-3-16-148410-0, ISBN 0-306-40615-2',
    'call_0123456789, call_1234567890123, toolu_01A09q90qw90lq917835lq9',
    '01-23-45-67-89-ab, 01:23:45:67:89:ab',
    'phone 192.168.100.100, mobile 2024-01-15, call on 2024-01-15, iPhone 14 2022 2023',
    'I called 1000000 times',
    '{"text":"1234 5678 9012","total":12345678901}',
    'pi = 3.14159265358979323846, 0.4111111111111111',
    '4111111111111112',
    '9111111111111111',
    '41111111111111111111111111',
    'a4111111111111111 and 4111111111111111b and id_4111111111111111',
    '4006381333931',
    '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16',
    'DE89370400440532013001',
    'DE893704004405320130001',
    'DE8937040044053201300',
    'XX89370400440532013000',
    'at12 of the first and the second or in the third place',
    '000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000',
    '123456789',
    '1123-45-6789, 123-45-67890, 123-45-6789-1, a-123-45-6789',
    'ssn: 000123456, ssn: 1234567890',
    'classNames 123456789',
    'a disk-usage-of-a-hundred-megabytes-or-more, sk-fading-circle-container-wrapper',
    'OPENAI_API_KEY=sk-proj-your-api-key-goes-here-please',
    'sk-short, ghp_short, AKIASHORT, AIzaShort, eyJ0, hf_transfer, npm_config_registry, whsec_',
    '-----BEGIN PUBLIC KEY-----, -----BEGIN CERTIFICATE-----',
    'postgres://app:password@localhost, redis://:$REDIS_PASSWORD@cache:6379',
    'sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'The quick brown fox jumps over the lazy dog; 42 is the answer.',
    '',
  ])('%s', (text) => {
    expect(found(text)).toEqual([]);
  });
});

describe('is not deceived by', () => {
  const wide = (text: string) => text.replace(/[!-~]/g, (char) => String.fromCharCode(char.charCodeAt(0) + 0xfee0));
  const apart = (text: string) => [...text].join('\u200b');
  const json = (text: string) => JSON.stringify(JSON.stringify(JSON.stringify({ value: text })));
  const escaped = (text: string) =>
    [...text].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
  const secret = example('ghp_', letters.slice(0, 36));
  const tricks: readonly (readonly [string, (text: string) => string])[] = [
    ['full-width characters', wide],
    ['zero-width spaces', apart],
    ['soft hyphens and joiners', (text) => [...text].join('\u00ad\u2060\u200d')],
    ['combining marks', (text) => [...text].join('\u0336')],
    ['no-break and thin spaces', (text) => text.replaceAll(' ', '\u00a0').replaceAll('-', '\u2011')],
    ['dashes of other lengths', (text) => text.replaceAll('-', '\u2013')],
    [
      'digits of other scripts',
      (text) => text.replace(/[0-9]/g, (digit) => String.fromCharCode(0x0660 + Number(digit))),
    ],
    ['JSON in strings in JSON', json],
    ['escapes', escaped],
    ['escapes that are escaped', (text) => JSON.stringify(escaped(text))],
    ['percent-encoding', (text) => encodeURIComponent(text)],
    ['a line that starts behind an escape', (text) => `"here:\\n${text}\\n"`],
    ['a footnote mark', (text) => `${text}\u00b2`],
  ];
  test.each(
    tricks.flatMap(([name, trick]) =>
      (
        [
          ['email', 'john@example.com'],
          ['phone', '+49 170 1234567'],
          ['iban', 'DE89 3704 0044 0532 0130 00'],
          ['credit_card', '4111-1111-1111-1111'],
          ['us_ssn', '123-45-6789'],
          ['secret', secret],
        ] as const
      ).map(([kind, text]) => [name, kind, trick(text)] as const),
    ),
  )('%s: %s', (_, kind, text) => {
    expect(found(text)).toContain(kind);
  });
});

test('only the kinds asked for are looked for', () => {
  expect(kindsInText('john@example.com 123-45-6789', ['us_ssn', 'iban'])).toEqual(['us_ssn']);
  expect(kindsInText('john@example.com', [])).toEqual([]);
});

describe('takes time in proportion to', () => {
  // A million characters each: anything that grows with the square of it would outlast the test's time limit by far.
  const size = 1_000_000;
  const fill = (piece: string) => piece.repeat(Math.ceil(size / piece.length));
  test.each([
    ...[
      '1',
      '@',
      'a',
      '+',
      '0',
      ' ',
      '-',
      '\\',
      '%',
      '.',
      '4',
      '"',
      ':',
      '(',
      '\u0315\u0316',
      '\uff9e',
      '\u200b',
      '\ufdfa',
    ],
    ...[
      'a.',
      'a@',
      'a@a.',
      '1 ',
      '4 ',
      '4-',
      '41111111 ',
      '+1 ',
      '+49 ',
      '00',
      '01 ',
      '0 1',
      '(0',
      '12-',
      '123-45-',
      '555-123-',
    ],
    ...[
      'DE89',
      'DE89 ',
      'de00 ',
      'A0 ',
      'sk-',
      'sk-a',
      'sk-proj-a-',
      'eyJ',
      'eyJ.',
      'eyJaaaaaaaa.',
      'AKIA',
      'ghp_',
      'SG.a',
      'xoxb-',
    ],
    ...[
      '-----BEGIN ',
      '-----BEGIN A ',
      '://',
      'a://a:',
      'a://a:a',
      'phone',
      'phone ',
      'phone:1 ',
      'call me ',
      'tel. ',
      'ssn ',
      'ssn 12',
      'ss#',
    ],
    ...[
      '\\u',
      '\\\\u00',
      '%4',
      'data:',
      ';base64,',
      'a"@',
      '""@',
      '"a',
      'authorization: bearer ',
      'hooks.slack.com/services/T',
      '1:AA',
    ],
  ])('%j, again and again', (piece) => {
    // Found behind all of it, so all of it was read.
    expect(found(`${fill(piece)} \n john@example.com`)).toContain('email');
  });
});

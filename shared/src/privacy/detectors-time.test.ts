import { describe, expect, test } from 'vitest';
import type { ChatRequest } from '../chat/request.ts';
import { detectIn } from './detect.ts';
import { detectorKinds, kindsInText } from './detectors.ts';

const found = (text: string) => kindsInText(text, detectorKinds);

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
    ...['4111 ', '4111  ', '4111\t', '4111\n', '4111.', '4111 - ', '4111-1111-1111-1111-', '4111 822463 ', '\t', '\n'],
    ...['IBAN', 'IBANDE89', 'DE89.', 'DE89  ', 'DE89\n\n', 'DE.89', 'DE ', 'DE89 3704 0044 0532 0130 0'],
    ...['a://a:@', 'a://a:@b', 'a://a:{', 'a://a:{{}', 'a://a:$a_', 'a://a:%40@', 'a://:%40', 'http://a:80,', '{}@a.'],
  ])('%j, again and again', (piece) => {
    // Found behind all of it, so all of it was read.
    expect(found(`${fill(piece)} \n john@example.com`)).toContain('email');
  });

  test.each(['\u0000', 'a\u0000', '\n ', '\n%PDF-', '\u00fc', '\u001b', '%', 'data:', 'data:a/b;base64,'])(
    'a file of %j, again and again',
    (piece) => {
      const content = Buffer.from(`${fill(piece)} \n john@example.com`, 'latin1').toString('base64');
      const file = { file_data: `data:text/plain;base64,${content}` };
      const request = { model: 'default', messages: [{ role: 'user', content: [{ type: 'file', file }] }] };
      const body = { endpoint: '/v1/chat/completions', request: request as ChatRequest } as const;
      expect(detectIn(body, detectorKinds)).toContain('email');
    },
  );
});

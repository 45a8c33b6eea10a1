import { expect, test } from 'vitest';
import { createSseParser, maxEventLength, type SseEvent, SseTooLongError } from './sse.ts';

function parse(...pieces: string[]): SseEvent[] {
  const events: SseEvent[] = [];
  const parser = createSseParser((event) => events.push(event));
  for (const piece of pieces) parser.push(piece);
  parser.end();
  return events;
}
const one = (data: string, event = ''): SseEvent[] => [{ event, data }];

test.for<[string, string, SseEvent[]]>([
  ['a data line is an event', 'data: a\n\n', one('a')],
  ['the space after the colon may be missing', 'data:a\n\n', one('a')],
  ['only one space is taken off', 'data:  a\n\n', one(' a')],
  ['several data lines join with a line feed', 'data: a\ndata: b\n\n', one('a\nb')],
  ['an event has a name', 'event: ping\ndata: a\n\n', one('a', 'ping')],
  ['a name counts for one event only', 'event: ping\ndata: a\n\ndata: b\n\n', [...one('a', 'ping'), ...one('b')]],
  ['a name without data is no event', 'event: ping\n\n', []],
  ['comments are dropped', ': hello\ndata: a\n: bye\n\n', one('a')],
  ['unknown fields are dropped', 'id: 1\nretry: 5\nfoo\ndata: a\n\n', one('a')],
  ['a field without a colon is empty', 'data\n\n', one('')],
  ['blank lines alone are nothing', '\n\n\r\n\r\r', []],
  ['CRLF ends a line', 'data: a\r\ndata: b\r\n\r\n', one('a\nb')],
  ['CR ends a line', 'data: a\rdata: b\r\r', one('a\nb')],
  ['line ends may be mixed', 'data: a\r\n\rdata: b\n\r\n', [...one('a'), ...one('b')]],
  ['the last event needs no blank line', 'data: a\n\ndata: [DONE]', [...one('a'), ...one('[DONE]')]],
  ['a colon in the data stays', 'data: {"a":1}\n\n', one('{"a":1}')],
  ['a body that begins with a brace is one document', ' {"error":\n\n"x"}\n', one(' {"error":\n\n"x"}\n')],
  ['nothing is no event', '', []],
])('%s', ([, text, expected]) => {
  expect(parse(text)).toEqual(expected);
  expect(parse(...text)).toEqual(expected);
});

test('a CRLF split between two pieces is one line end', () => {
  expect(parse('data: a\r', '\ndata: b\r', '\n\r', '\n')).toEqual(one('a\nb'));
});

test('an event is handed on as soon as its blank line is there', () => {
  const events: SseEvent[] = [];
  const parser = createSseParser((event) => events.push(event));
  parser.push('data: a\n');
  expect(events).toEqual([]);
  parser.push('\n');
  expect(events).toEqual(one('a'));
});

test.for([
  ['a line', 'data: '],
  ['a document', '{"a":"'],
] as const)('%s that never ends is refused at a bound', ([, begin]) => {
  const parser = createSseParser(() => undefined);
  parser.push(begin);
  const piece = 'x'.repeat(64 * 1024);
  expect(() => {
    for (let length = 0; length <= maxEventLength; length += piece.length) parser.push(piece);
  }).toThrow(SseTooLongError);
});

test('many short events are not held against the bound', () => {
  let count = 0;
  const parser = createSseParser(() => {
    count += 1;
  });
  const piece = `data: ${'x'.repeat(10_000)}\n\n`;
  for (let length = 0; length <= 2 * maxEventLength; length += piece.length) parser.push(piece);
  expect(count).toBe(Math.floor((2 * maxEventLength) / piece.length) + 1);
});

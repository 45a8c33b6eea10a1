import type { StreamPage } from '@waybill/shared/coordination/chunks.ts';
import type { StreamEvent } from '@waybill/shared/coordination/stream-events.ts';
import { expect, test } from 'vitest';
import { formatPosition, parsePosition } from './stream-position.ts';
import { createStreamReading, type FinalJob, type Numbered } from './stream-reading.ts';

const text = (of: string): StreamEvent => ({ type: 'delta', kind: 'text', text: of });
const started: StreamEvent = { type: 'started', attempt: 1, target: 'a/one' };
const restarted: StreamEvent = { type: 'restarted', attempt: 2, target: 'b/two', because: 'stream_interrupted' };
const resumed: StreamEvent = { type: 'resumed', attempt: 2, target: 'b/two' };
const first = (...events: (StreamEvent | null)[]): StreamPage => ({ token: '11111111', events });
const other = (...events: StreamEvent[]): StreamPage => ({ token: '22222222', events });

const message = { content: 'Hello' };
const succeeded: FinalJob = {
  status: 'succeeded',
  output: { choices: [{ message, finish_reason: 'stop' }] },
  usage: null,
  error: null,
};
const failed: FinalJob = {
  status: 'failed',
  output: null,
  usage: null,
  error: { kind: 'attempts_exhausted', code: 'attempts_exhausted', message: 'no' },
};

/** `11111111-2 text:Hel`: the id, the type, and what it says. */
const line = ({ position, event }: Numbered): string => {
  const id = position === null ? '' : `${formatPosition(position)} `;
  if (event.type !== 'delta') return `${id}${event.type}`;
  return event.kind === 'tool_call'
    ? `${id}call ${event.index} ${event.id} ${event.name} ${event.arguments}`
    : `${id}${event.kind}:${event.text}`;
};

/** Pages are read as the route reads them: from the cursor on, and again where the stream is another. */
function read(pages: readonly (StreamPage | null)[], job: FinalJob | null, from: string | null = null): string[] {
  const reading = createStreamReading(1, from === null ? null : parsePosition(from));
  const lines: string[] = [];
  for (const page of pages) {
    for (let again = true; again; ) {
      const rest = page === null ? null : { ...page, events: page.events.slice(reading.cursor) };
      const answer = reading.page(rest);
      lines.push(...answer.events.map(line));
      again = answer.again;
    }
  }
  return [...lines, ...(job === null ? [] : reading.end(job).map(line))];
}

test.for<[string, Parameters<typeof read>, string[]]>([
  [
    'pieces as they come, then the end',
    [[null, first(started), first(started, text('Hel')), first(started, text('Hel'), text('lo'))], succeeded],
    ['11111111-1 started', '11111111-2 text:Hel', '11111111-3 text:lo', 'done-1 done'],
  ],
  [
    'what the store could not hold comes from the output',
    [[first(started, text('Hel'))], succeeded],
    ['11111111-1 started', '11111111-2 text:Hel', 'whole-1 text:lo', 'done-1 done'],
  ],
  ['the whole output of a job that told nothing', [[], succeeded], ['whole-1 text:Hello', 'done-1 done']],
  [
    'a restart makes void what was before',
    [[first(started, text('Wrong'), restarted, text('Hello'))], succeeded],
    ['11111111-1 started', '11111111-2 text:Wrong', '11111111-3 restarted', '11111111-4 text:Hello', 'done-1 done'],
  ],
  [
    'a resumed attempt goes on',
    [[first(started, text('Hel'), resumed, text('lo'))], succeeded],
    ['11111111-1 started', '11111111-2 text:Hel', '11111111-3 resumed', '11111111-4 text:lo', 'done-1 done'],
  ],
  [
    'text that is not the beginning of the output is taken back',
    [[first(started, text('Hallo'))], succeeded],
    ['11111111-1 started', '11111111-2 text:Hallo', 'gap', 'whole-1 text:Hello', 'done-1 done'],
  ],
  [
    'the end of a failed job takes nothing back',
    [[first(started, text('Hel'))], failed],
    ['11111111-1 started', '11111111-2 text:Hel', 'done-1 done'],
  ],
  [
    'a stream whose beginning is gone is told at the end',
    [[first(text('lo')), first(text('lo'), text('!'))], succeeded],
    ['gap', 'whole-1 text:Hello', 'done-1 done'],
  ],
  [
    'a stream whose beginning is gone is told from its next beginning on',
    [[first(text('lo'), restarted, text('Hello'))], succeeded],
    ['gap', '11111111-2 restarted', '11111111-3 text:Hello', 'done-1 done'],
  ],
  [
    'a stream that was lost on the way, and goes on without its beginning',
    [[first(started, text('Hel')), null, other(text('lo'))], succeeded],
    ['11111111-1 started', '11111111-2 text:Hel', 'gap', 'gap', 'whole-1 text:Hello', 'done-1 done'],
  ],
  [
    'a stream that was lost on the way, and begins again',
    [[first(started, text('Hel')), other(started, text('Hello'))], succeeded],
    ['11111111-1 started', '11111111-2 text:Hel', 'gap', '22222222-1 started', '22222222-2 text:Hello', 'done-1 done'],
  ],
  [
    'an event of another version counts, and is passed over',
    [[first(started, null, text('Hello'))], succeeded],
    ['11111111-1 started', '11111111-3 text:Hello', 'done-1 done'],
  ],
  [
    'a reader that comes back misses nothing and gets nothing twice',
    [[first(started, text('Hel'), text('l'))], succeeded, '11111111-2'],
    ['11111111-3 text:l', 'whole-1 text:o', 'done-1 done'],
  ],
  [
    'a reader of a stream that is no more starts over',
    [[null, first(started, text('Hel'))], succeeded, '99999999-5'],
    ['gap', '11111111-1 started', '11111111-2 text:Hel', 'whole-1 text:lo', 'done-1 done'],
  ],
  ['a reader of another stream starts over', [[first(started)], null, '99999999-5'], ['gap', '11111111-1 started']],
  ['a reader of an earlier run starts over', [[first(started)], null, 'done-0'], ['gap', '11111111-1 started']],
  ['a reader that has everything is told the end', [[], succeeded, 'whole-1'], ['done-1 done']],
  [
    'a reader that left in the middle of the output gets it anew',
    [[], succeeded, 'rest-1'],
    ['gap', 'whole-1 text:Hello', 'done-1 done'],
  ],
])('%s', ([, input, expected]) => {
  expect(read(...input)).toEqual(expected);
});

test('reasoning, refusals and tool calls come with the output', () => {
  const calls = [
    { id: 'x', type: 'function', function: { name: 'f', arguments: '{"a":1}' } },
    { id: 'y', type: 'function', function: { name: 'g', arguments: '{}' } },
  ];
  const output = { choices: [{ message: { content: null, reasoning_content: 'Hm', tool_calls: calls } }] };
  const begun: StreamEvent = { type: 'delta', kind: 'tool_call', index: 0, id: 'x', name: 'f', arguments: '{"a"' };
  expect(read([], { ...succeeded, output })).toEqual([
    'rest-1 reasoning:Hm',
    'rest-1 call 0 x f {"a":1}',
    'whole-1 call 1 y g {}',
    'done-1 done',
  ]);
  expect(read([first(started, begun)], { ...succeeded, output }).slice(2)).toEqual([
    'rest-1 reasoning:Hm',
    'rest-1 call 0 null null :1}',
    'whole-1 call 1 y g {}',
    'done-1 done',
  ]);
});

test('reasoning of attempts that broke stays told', () => {
  const thought: StreamEvent = { type: 'delta', kind: 'reasoning', text: 'Hm. ' };
  const output = { choices: [{ message: { content: 'Hello', reasoning_content: 'So.' } }] };
  expect(read([first(started, thought, text('Hel'), resumed, text('lo'))], { ...succeeded, output }).at(-1)).toBe(
    'done-1 done',
  );
});

test('halves of a character are joined', () => {
  const output = { choices: [{ message: { content: 'a\ud83d\ude00b' } }] };
  expect(read([first(started, text('a\ud83d'), text('\ude00'))], { ...succeeded, output }).slice(3)).toEqual([
    'whole-1 text:b',
    'done-1 done',
  ]);
});

test('embeddings have nothing to stream', () => {
  expect(read([], { ...succeeded, output: { object: 'list', data: [] } })).toEqual(['done-1 done']);
});

test.for(['', 'x', '11111111', '11111111-', '1111111G-1', 'done-x', '11111111-1234567890', '1-1'])(
  'takes no other id: %j',
  (id) => {
    expect(parsePosition(id)).toBeNull();
  },
);

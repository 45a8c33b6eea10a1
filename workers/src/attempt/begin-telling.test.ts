import type { StreamEvent } from '@waybill/shared/coordination/stream-events.ts';
import { expect, test } from 'vitest';
import { type Beginning, beginTelling, type GoesOnFrom } from './begin-telling.ts';

const text = (of: string) => ({ type: 'delta', kind: 'text', text: of }) as const;
const call = { type: 'delta', kind: 'tool_call', index: 0, id: 'x', name: 'f', arguments: '{}' } as const;
const started: StreamEvent = { type: 'started', attempt: 1, target: 'a/one' };
const second: Beginning = { attempt: 2, target: 'b/two', goesOnFrom: null, because: 'stream_interrupted' };
const where = { attempt: 2, target: 'b/two' };
const from = (of: string): GoesOnFrom => ({ text: of, deltas: [text(of)], toolCalls: 0 });
const afterCall: GoesOnFrom = { text: 'abc', deltas: [text('abc'), call], toolCalls: 1 };

const anew = { type: 'started', ...where };
const restarted = { type: 'restarted', ...where, because: 'stream_interrupted' };
const resumed = { type: 'resumed', ...where };

test.for<[string, (StreamEvent | null)[], Partial<Beginning>, unknown[]]>([
  ['the first attempt starts', [], { because: null }, [anew]],
  ['an attempt starts when the one before told nothing', [started], {}, [anew]],
  ['an attempt restarts when the one before told something', [started, text('abc')], {}, [restarted]],
  ['what a restart made void is not told any more', [started, text('abc'), { ...started, attempt: 2 }], {}, [anew]],
  [
    'an attempt that goes on from what was told resumes',
    [started, text('a'), text('bc')],
    { goesOnFrom: from('abc') },
    [resumed],
  ],
  [
    'what the one before could not tell any more comes first',
    [started, text('ab')],
    { goesOnFrom: from('abc') },
    [resumed, text('c')],
  ],
  [
    'more was told than is gone on from',
    [started, text('abcd')],
    { goesOnFrom: from('abc') },
    [restarted, text('abc')],
  ],
  ['something else was told', [started, text('abX')], { goesOnFrom: from('abc') }, [restarted, text('abc')]],
  ['the store lost what was told', [], { goesOnFrom: from('abc') }, [anew, text('abc')]],
  ['calls that were told stand', [started, text('abc'), call], { goesOnFrom: afterCall }, [resumed]],
  [
    'calls that were not told come again with the text',
    [started, text('abc')],
    { goesOnFrom: afterCall },
    [restarted, text('abc'), call],
  ],
  ['an event of another version does not hinder', [null, started, null], {}, [anew]],
])('%s', ([, told, change, expected]) => {
  expect(beginTelling(told, { ...second, ...change })).toEqual(expected);
});

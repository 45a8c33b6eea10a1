import type { StreamDelta } from '@waybill/shared/coordination/stream-events.ts';
import { expect, test } from 'vitest';
import { isEmptyDelta, join, toDelta } from './coalesce.ts';

const text = (of: string): StreamDelta => ({ type: 'delta', kind: 'text', text: of });
const thought = (of: string): StreamDelta => ({ type: 'delta', kind: 'reasoning', text: of });
const call = (args: string, more: { index?: number; id?: string; name?: string } = {}): StreamDelta => ({
  type: 'delta',
  kind: 'tool_call',
  index: 0,
  id: null,
  name: null,
  arguments: args,
  ...more,
});

test.for<[string, StreamDelta, StreamDelta, StreamDelta | null]>([
  ['text to text', text('a'), text('b'), text('ab')],
  ['reasoning to reasoning', thought('a'), thought('b'), thought('ab')],
  ['no text to reasoning', thought('a'), text('b'), null],
  [
    'arguments to the head of their call',
    call('', { id: 'x', name: 'f' }),
    call('{'),
    call('{', { id: 'x', name: 'f' }),
  ],
  ['a name that comes later', call('', { id: 'x' }), call('', { name: 'f' }), call('', { id: 'x', name: 'f' })],
  ['no arguments to those of another call', call('{}'), call('{}', { index: 1 }), null],
  ['no text to a call', call('{}'), text('b'), null],
  ['no call to a text', text('a'), call('{}'), null],
])('joins %s', ([, last, next, expected]) => {
  expect(join(last, next)).toEqual(expected);
});

test('counts the calls of earlier attempts', () => {
  const piece = { kind: 'tool_call', index: 1, id: 'x', name: 'f', arguments: '' } as const;
  expect(toDelta(piece, 2)).toEqual(call('', { index: 3, id: 'x', name: 'f' }));
  expect(toDelta({ kind: 'refusal', text: 'no' }, 2)).toEqual({ type: 'delta', kind: 'refusal', text: 'no' });
});

test.for<[string, StreamDelta, boolean]>([
  ['no text', text(''), true],
  ['text', text(' '), false],
  ['a call of which nothing is known', call(''), true],
  ['the head of a call', call('', { id: 'x' }), false],
])('knows whether it says anything: %s', ([, delta, expected]) => {
  expect(isEmptyDelta(delta)).toBe(expected);
});

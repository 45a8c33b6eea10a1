import { expect, test } from 'vitest';
import { type FilterFlags, filterOf } from './action-flags.ts';

test.each<[FilterFlags, Record<string, unknown>]>([
  [{}, {}],
  [{ all: true }, { all: true }],
  [
    { batch: 'batch_1', status: 'failed' },
    { batch_id: 'batch_1', status: 'failed' },
  ],
  [
    { target: 'p/m', provider: 'p', model: 'default' },
    { target: 'p/m', provider: 'p', model: 'default' },
  ],
  [
    { olderThan: '1h', errorKind: 'timeout' },
    { older_than: '1h', error_kind: 'timeout' },
  ],
  [{ metadata: ['a=1', 'b=x=y', 'c='] }, { metadata: { a: '1', b: 'x=y', c: '' } }],
])('the flags %j spell the filter %j', (flags, filter) => {
  expect(filterOf(flags)).toEqual(filter);
});

test.each(['team', '=search'])('metadata %j is no pair', (pair) => {
  expect(() => filterOf({ metadata: [pair] })).toThrow('write key=value');
});

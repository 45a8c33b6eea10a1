import { Problem } from '@waybill/shared/domain/problem.ts';
import { expect, test } from 'vitest';
import { parseJobAction, parseRetry, selectionOf } from './job-action-request.ts';

const refusal = (call: () => unknown): Problem => {
  try {
    call();
  } catch (error) {
    if (error instanceof Problem) return error;
  }
  throw new Error('it was not refused');
};
const all = { all: true };

test.each<[name: string, body: unknown, code: string, param: string | null, message: string]>([
  ['no filter', { action: 'cancel' }, 'invalid_type', 'filter', ''],
  ['an empty filter', { action: 'cancel', filter: {} }, 'invalid_value', 'filter', '{"all": true} acts on all'],
  ['a filter of nothing', { action: 'cancel', filter: { status: null, metadata: {} } }, 'invalid_value', 'filter', ''],
  ['all and another', { action: 'cancel', filter: { ...all, batch_id: 'b' } }, 'invalid_value', 'filter', 'batch_id'],
  ['all that is false', { action: 'cancel', filter: { all: false } }, 'invalid_value', 'filter.all', ''],
  ['an action of another name', { action: 'delete', filter: all }, 'invalid_value', 'action', ''],
  [
    'a field that is nearly known',
    { action: 'cancel', filter: { batchid: 'b' } },
    'unknown_field',
    'filter',
    'did you mean "batch_id"?',
  ],
  [
    'an unknown field beside it',
    { action: 'cancel', filters: all, filter: all },
    'unknown_field',
    null,
    'did you mean "filter"?',
  ],
  [
    'too many ids',
    { action: 'cancel', filter: { ids: Array(1_001).fill('job_x') } },
    'too_many_items',
    'filter.ids',
    '1000',
  ],
  ['no id', { action: 'cancel', filter: { ids: [] } }, 'out_of_range', 'filter.ids', ''],
  ['an id that is a number', { action: 'cancel', filter: { ids: [1] } }, 'invalid_type', 'filter.ids[0]', ''],
  ['a status of another name', { action: 'cancel', filter: { status: 'done' } }, 'invalid_value', 'filter.status', ''],
  ['a NUL', { action: 'cancel', filter: { target: 'a\u0000' } }, 'control_character', 'filter.target', ''],
  [
    'half a pair',
    { action: 'cancel', filter: { metadata: { a: '\ud800' } } },
    'control_character',
    'filter.metadata.a',
    '',
  ],
  [
    'an age without a unit',
    { action: 'cancel', filter: { older_than: '60' } },
    'invalid_type',
    'filter.older_than',
    '"24h"',
  ],
  [
    'a time without a zone',
    { action: 'cancel', filter: { created_before: '2026-01-01T00:00' } },
    'invalid_timestamp',
    'filter.created_before',
    '',
  ],
  ['a model to cancel', { action: 'cancel', filter: all, model: 'x' }, 'invalid_value', 'model', 'filter.model'],
  ['a limit of none', { action: 'cancel', filter: all, limit: 0 }, 'out_of_range', 'limit', ''],
])('%s is refused', (_, body, code, param, message) => {
  const problem = refusal(() => parseJobAction(body));
  expect(problem).toMatchObject({ code, param });
  expect(problem.message).toContain(message);
});

test('ages count from the beginning of the action, and the older of two bounds holds', () => {
  const beganAt = new Date('2026-06-01T12:00:00Z');
  const created = (filter: object) =>
    selectionOf(parseJobAction({ action: 'cancel', filter }).filter, beganAt).createdBefore?.toISOString() ?? null;
  expect(created(all)).toBeNull();
  expect(created({ older_than: '1h' })).toBe('2026-06-01T11:00:00.000Z');
  expect(created({ older_than: '1h', created_before: '2026-06-01T11:30:00Z' })).toBe('2026-06-01T11:00:00.000Z');
  expect(created({ older_than: '1h', created_before: '2026-06-01T10:30:00Z' })).toBe('2026-06-01T10:30:00.000Z');
});

test('every field of the filter is read', () => {
  const filter = {
    ...{ ids: ['job_x'], batch_id: 'b', status: 'failed', target: 'p/m', provider: 'p', model: 'default' },
    ...{ chain: 'default', priority: 'bulk', metadata: { a: '1' }, created_after: '2026-01-01T00:00:00Z' },
    ...{ older_than: '0s', error_kind: 'timeout' },
  };
  const asked = parseJobAction({ action: 'retry', filter, model: 'wide', limit: 5 });
  expect(asked).toMatchObject({ action: 'retry', model: 'wide', limit: 5, cursor: null });
  expect(selectionOf(asked.filter, new Date('2026-06-01Z'))).toEqual({
    ...{ ids: ['job_x'], batchId: 'b', status: 'failed', target: 'p/m', provider: 'p', model: 'default' },
    ...{ chain: 'default', priority: 2, metadata: { a: '1' }, createdAfter: new Date('2026-01-01Z') },
    ...{ createdBefore: new Date('2026-06-01Z'), errorKind: 'timeout' },
  });
});

test('what a request means does not depend on its cursor, and does on all else', () => {
  const meaning = (more: object) => parseJobAction({ action: 'retry', filter: all, ...more }).meaning;
  const usual = meaning({});
  expect(meaning({ cursor: 'x', limit: 7, model: null })).toBe(usual);
  for (const other of [{ action: 'pause' }, { filter: { status: 'failed' } }, { model: 'wide' }])
    expect(meaning(other)).not.toBe(usual);
});

test('the body of a retry names a model or none', () => {
  expect([parseRetry({}), parseRetry({ model: null }), parseRetry({ model: 'wide' })]).toEqual([null, null, 'wide']);
  expect(refusal(() => parseRetry({ modle: 'wide' }))).toMatchObject({ code: 'unknown_field' });
  expect(refusal(() => parseRetry({ model: '' }))).toMatchObject({ code: 'out_of_range', param: 'model' });
});

import { Problem } from '@waybill/shared/domain/problem.ts';
import { expect, test } from 'vitest';
import { errorJson, table, visible } from './output.ts';

test('what a terminal would act on is shown, not done', () => {
  expect(visible('\u001b[31mred\u0007\u202e')).toBe('\\x1b[31mred\\x07\\x202e');
  expect(visible('two\nlines\tand ä 😀')).toBe('two\nlines\tand ä 😀');
});

test('a table is as wide as its widest cells, with numbers to the right', () => {
  expect(
    table(
      ['id', 'n'],
      [
        ['long name', 5],
        ['x', 12],
      ],
    ),
  ).toBe('id         n\nlong name   5\nx          12');
});

test('errors have one shape, whatever was thrown', () => {
  expect(errorJson(new Problem('empty_batch', 'none', { param: 'line 1' }))).toEqual({
    error: { message: 'none', code: 'empty_batch', param: 'line 1', request_id: null },
  });
  expect(errorJson('text').error).toMatchObject({ message: 'text', code: 'internal_error' });
});

import { expect, test } from 'vitest';
import { createCursors } from './cursor.ts';

const cursors = createCursors(Buffer.alloc(32, 1));
const cursor = cursors.write('ten_a', 'jobs', 'job_1');

test('a cursor leads back to its position', () => {
  expect(cursors.read('ten_a', 'jobs', cursor)).toBe('job_1');
});

test.for<[string, () => string]>([
  ['of another tenant', () => cursors.read('ten_b', 'jobs', cursor)],
  ['of another list', () => cursors.read('ten_a', 'events', cursor)],
  ['of another server', () => createCursors(Buffer.alloc(32, 2)).read('ten_a', 'jobs', cursor)],
  [
    'with a changed position',
    () =>
      cursors.read(
        'ten_a',
        'jobs',
        Buffer.concat([Buffer.from(cursor, 'base64url').subarray(0, 12), Buffer.from('job_2')]).toString('base64url'),
      ),
  ],
  ['that is empty', () => cursors.read('ten_a', 'jobs', '')],
  ['that is too long', () => cursors.read('ten_a', 'jobs', 'a'.repeat(300))],
])('a cursor %s is refused', ([, read]) => {
  expect(read).toThrow(expect.objectContaining({ code: 'invalid_cursor' }));
});

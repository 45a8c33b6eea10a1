import { expect, test } from 'vitest';
import { changeText } from './breakers.ts';

test.each<[Parameters<typeof changeText>[1], string]>([
  [{ action: 'open', changed: ['p/m'] }, 'p/m  open'],
  [{ action: 'close', changed: ['p/*', 'p/m'] }, 'p/*  closed\np/m  closed'],
  // Also one that was closed already: what was counted is forgotten.
  [{ action: 'reset', changed: ['p/m'] }, 'p/m  reset'],
  [{ action: 'close', changed: [] }, 'p/\\x1b  nothing to change'],
])('%j is told as %j', (change, text) => {
  expect(changeText('p/\u001b', change)).toBe(text);
});

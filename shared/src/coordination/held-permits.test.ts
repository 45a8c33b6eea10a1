import { expect, test } from 'vitest';
import { createHeldPermits } from './held-permits.ts';

test('permits are kept by provider until they are given back', () => {
  const held = createHeldPermits();
  const [a, b, c] = [
    { token: '1', target: 'openai/gpt', place: 'default' },
    { token: '2', target: 'openai/org/model', place: 'default' },
    { token: '3', target: 'ollama/llama', place: 'default' },
  ] as const;
  for (const permit of [a, b, c, a]) held.add(permit);
  expect(held.byProvider()).toEqual(
    new Map([
      ['openai', [a, b]],
      ['ollama', [c]],
    ]),
  );
  held.remove(a);
  held.remove({ ...a, token: 'unknown' });
  expect(held.byProvider().get('openai')).toEqual([b]);
  held.clear();
  expect(held.byProvider()).toEqual(new Map());
});

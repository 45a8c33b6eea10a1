import { expect, test } from 'vitest';
import { createReceiverSlots } from './receiver-slots.ts';

const take = (slots: ReturnType<typeof createReceiverSlots>, id: string, times: number): boolean[] =>
  Array.from({ length: times }, () => slots.take(id));

test('a receiver that answers quickly may have any number of deliveries under way', () => {
  const slots = createReceiverSlots();
  expect(take(slots, 'quick', 40)).not.toContain(false);
  slots.release('quick', 10);
  expect(slots.take('quick')).toBe(true);
});

test('one whose last answer was slow keeps four slots, and the others keep theirs', () => {
  const slots = createReceiverSlots();
  slots.take('slow');
  slots.release('slow', 5_000);
  expect(take(slots, 'slow', 6)).toEqual([true, true, true, true, false, false]);
  expect(slots.take('other')).toBe(true);
  slots.release('slow', 5_000);
  expect(take(slots, 'slow', 2)).toEqual([true, false]);
});

test('a quick answer forgives it', () => {
  const slots = createReceiverSlots();
  slots.take('slow');
  slots.release('slow', 5_000);
  slots.take('slow');
  slots.release('slow', 20);
  expect(take(slots, 'slow', 9)).not.toContain(false);
});

test('an answer of a receiver nobody remembers is no fault', () => {
  const slots = createReceiverSlots();
  slots.release('unknown', 10);
  expect(slots.take('unknown')).toBe(true);
});

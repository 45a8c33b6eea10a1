import { expect, test } from 'vitest';
import { type Carried, fits, parseCarried, totalUsage } from './carried.ts';

const usage = {
  inputTokens: 3,
  outputTokens: 2,
  cacheReadTokens: 1,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
};
const text: Carried = { kind: 'text', text: 'so far', usage: null, rounds: 1 };
const vectors: Carried = { kind: 'vectors', target: 'p/m', model: null, vectors: [[0.5]], usage };
const continuation: Carried = {
  kind: 'continuation',
  target: 'p/m',
  state: { any: ['thing'] },
  text: '',
  reasoning: '',
  reasoningDetails: [{ signature: 'x' }],
  toolCalls: [{ id: 'call_0', type: 'function', function: { name: 'look', arguments: '{}' } }],
  usage,
  rounds: 2,
};

test.for([text, vectors, continuation])('what is carried as $kind is read as it was written', (carried) => {
  expect(parseCarried(JSON.stringify(carried))).toEqual(carried);
});

test.for([
  ['nothing is carried', null],
  ['it is no JSON', '{"kind":"tex'],
  ['it is of a kind of another version', '{"kind":"hologram"}'],
  ['a field is missing', JSON.stringify({ ...text, rounds: undefined })],
  ['a field is of another type', JSON.stringify({ ...vectors, vectors: ['0.5'] })],
] as const)('the answer begins anew when %s', ([, stored]) => {
  expect(parseCarried(stored)).toBeNull();
});

test.for([
  ['a text', text, true, true],
  ['vectors', vectors, true, false],
  ['the state of a provider', continuation, true, false],
] as const)('%s can be gone on from where it fits', ([, carried, atHome, elsewhere]) => {
  expect(fits(carried, 'p/m')).toBe(atHome);
  expect(fits(carried, 'q/m')).toBe(elsewhere);
});

test('the usage of requests together is their sum, and unknown when one of them is', () => {
  expect(totalUsage(usage, usage)).toMatchObject({ inputTokens: 6, outputTokens: 4, cacheReadTokens: 2 });
  expect(totalUsage(null, usage)).toBeNull();
  expect(totalUsage(usage, null)).toBeNull();
});

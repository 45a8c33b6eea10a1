/**
 * Known counts: o200k's characters per token as measured for each kind of text (prose 4.69, JavaScript 4.66,
 * JSON 2.54), and sentences whose count OpenAI publishes.
 */
import { expect, test } from 'vitest';
import { chatRequestSchema } from './request.ts';
import { estimateInputTokens, estimateTextTokens } from './tokens.ts';

const prose = `Four score and seven years ago our fathers brought forth on this continent, a new nation, conceived in
Liberty, and dedicated to the proposition that all men are created equal. Now we are engaged in a great civil war,
testing whether that nation, or any nation so conceived and so dedicated, can long endure. We are met on a great
battle-field of that war. We have come to dedicate a portion of that field, as a final resting place for those who
here gave their lives that that nation might live. It is altogether fitting and proper that we should do this.`;
const code = `export function createLimiter(options) {
  const { limit, interval } = options;
  const waiting = [];
  let active = 0;
  function next() {
    if (active >= limit || waiting.length === 0) return;
    active += 1;
    const { task, resolve, reject } = waiting.shift();
    Promise.resolve(task()).then(resolve, reject).finally(() => {
      active -= 1;
      setTimeout(next, interval);
    });
  }
  return (task) => new Promise((resolve, reject) => {
    waiting.push({ task, resolve, reject });
    next();
  });
}`;
const json = JSON.stringify(
  Array.from({ length: 20 }, (_, index) => ({ id: 48_211 + index, ok: true, price: 12.95, tags: ['new', 'sale'] })),
);

test.for([
  ['English prose', prose, prose.length / 4.69],
  ['JavaScript', code, code.length / 4.66],
  ['JSON', json, json.length / 2.54],
  ['a Japanese sentence of eight tokens', 'お誕生日おめでとう', 8],
  ['a sentence of eleven tokens', 'You miss 100% of the shots you don’t take', 11],
] as const)('the estimate of %s is within a quarter of the true count', ([, text, tokens]) => {
  const estimate = estimateTextTokens(text);
  expect(estimate).toBeGreaterThan(tokens * 0.75);
  expect(estimate).toBeLessThan(tokens * 1.25);
});

test.for([
  ['no text', '', 0],
  ['a short word', 'hello', 1],
  ['a long word, by its length', 'antidisestablishmentarianism', 5],
  ['inner capitals', 'getUserName', 4],
  ['digits, three to a token', '123456', 2],
  ['a single space', 'a b', 2],
  ['a line break', 'a\nb', 3],
  ['punctuation, two to a token', '!!!!', 2],
  ['Latin letters with marks', 'éééééééééé', 5],
  ['Chinese characters', '人人人人人', 4],
  ['control characters and NUL', '\u0000\u0001', 1],
] as const)('%s: estimated by its own rule', ([, text, expected]) => {
  expect(estimateTextTokens(text)).toBe(expected);
});

const timeOf = (text: string): number => {
  const startedAt = performance.now();
  estimateTextTokens(text);
  return performance.now() - startedAt;
};

test.for([
  ['one letter', 'a'],
  ['one capital', 'A'],
  ['a space', ' '],
  ['a digit', '7'],
  ['a quote', '"'],
  ['an emoji', '😀'],
  ['half a surrogate pair', '\ud83d'],
  ['letters and digits in turn', 'a1'],
  ['a control character', '\u0000'],
] as const)('200,000 times %s take time in proportion to the length', ([, unit]) => {
  estimateTextTokens(unit.repeat(1_000)); // Compiled before it is timed.
  // A quadratic scan takes 100 times as long for ten times the text; it fails both bounds by far.
  const short = Math.min(...[1, 2, 3].map(() => timeOf(unit.repeat(20_000))));
  const long = Math.min(...[1, 2, 3].map(() => timeOf(unit.repeat(200_000))));
  expect(long).toBeLessThan(Math.max(40 * short, 50));
  expect(estimateTextTokens(unit.repeat(200_000))).toBeLessThanOrEqual(2 * 200_000);
});

const requestOf = (change: object) =>
  chatRequestSchema.parse({ model: 'default', messages: [{ role: 'user', content: 'hello' }], ...change });

test('a request costs four tokens a message beside its text', () => {
  const message = { role: 'user', content: 'hello' };
  expect(estimateInputTokens(requestOf({}))).toBe(5);
  expect(estimateInputTokens(requestOf({ messages: [message, message, message] }))).toBe(15);
});

test('an image costs a fixed allowance, however many bytes it has', () => {
  const withImage = (bytes: number) => {
    const url = `data:image/png;base64,${'A'.repeat(bytes)}`;
    return estimateInputTokens(
      requestOf({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] }),
    );
  };
  expect(withImage(1_000_000)).toBe(withImage(10));
  expect(withImage(10)).toBeGreaterThan(500);
});

test('files and sound cost by their size, never by the text of their base64', () => {
  const costOf = (part: object) => estimateInputTokens(requestOf({ messages: [{ role: 'user', content: [part] }] }));
  const fileOf = (bytes: number) => ({
    type: 'file',
    file: { file_data: `data:application/pdf;base64,${Buffer.alloc(bytes, 'a').toString('base64')}` },
  });
  const audioOf = (bytes: number) => ({
    type: 'input_audio',
    input_audio: { data: Buffer.alloc(bytes).toString('base64'), format: 'wav' },
  });
  // A page of 30 KB is some 3,000 tokens, a second of speech of 16 KB some 32.
  expect(costOf(fileOf(300_000)) - costOf(fileOf(3))).toBeCloseTo(30_000, -1);
  expect(costOf(audioOf(160_000)) - costOf(audioOf(3))).toBeCloseTo(320, -1);
});

test.for<[string, object]>([
  ['tools', { tools: [{ type: 'function', function: { name: 'weather', description: prose } }] }],
  [
    'a schema',
    { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { description: prose } } } },
  ],
  [
    'earlier tool calls',
    {
      messages: [
        { role: 'user', content: 'hello' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: prose } }],
        },
      ],
    },
  ],
  [
    'earlier reasoning',
    {
      messages: [
        { role: 'user', content: 'hello' },
        { role: 'assistant', content: 'hi', reasoning_content: prose },
      ],
    },
  ],
  [
    'earlier reasoning that nobody else can read',
    {
      messages: [
        { role: 'user', content: 'hello' },
        {
          role: 'assistant',
          content: 'hi',
          reasoning_details: [{ origin: 'a/m', part: { signature: prose.repeat(3) } }],
        },
      ],
    },
  ],
])('%s count as the text they are', ([, change]) => {
  expect(estimateInputTokens(requestOf(change))).toBeGreaterThan(estimateTextTokens(prose));
});

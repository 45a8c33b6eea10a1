/** Vectors of every provider that has them: one per input, in the order of the inputs, by one request. */
import { presetIds } from '@waybill/shared/providers/presets.ts';
import { createTransport, type Transport } from '@waybill/shared/providers/transport.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { callEmbeddings } from '../support/fake-providers/call-provider.ts';
import { type FakeProviders, startFakeProviders } from '../support/fake-providers/server.ts';
import { says, vectorOf } from '../support/fake-providers/wire.ts';

let fakes: FakeProviders;
let transport: Transport;
beforeAll(async () => {
  fakes = await startFakeProviders();
  transport = createTransport({ connections: 8, connectMs: 2_000 });
});
afterAll(() => Promise.all([fakes.stop(), transport.close()]));

const inputs = ['a', 'something longer', '日本語'];
const without = ['anthropic', 'groq', 'openrouter'];
/** It bills embeddings, and does not say how many tokens they had. */
const usageUnknown = ['gemini'];

const rows: readonly [
  title: string,
  request: object,
  expected: readonly number[][],
  warns: Readonly<Record<string, RegExp>>,
][] = [
  ['of a list', { input: inputs }, inputs.map((each) => vectorOf(each)), {}],
  ['of one text', { input: 'alone' }, [vectorOf('alone')], {}],
  ['as base64 was asked for', { input: inputs, encoding_format: 'base64' }, inputs.map((each) => vectorOf(each)), {}],
  ['of a length', { input: inputs, dimensions: 256 }, inputs.map((each) => vectorOf(each, 256)), {}],
  [
    'for a purpose',
    { input: inputs, input_type: 'search_query' },
    inputs.map((each) => vectorOf(each)),
    Object.fromEntries(presetIds.filter((id) => !['cohere', 'gemini'].includes(id)).map((id) => [id, /input_type/])),
  ],
];

test.for(
  presetIds.flatMap((id) => rows.map(([title, ...row]) => [`${id} makes vectors ${title}`, id, ...row] as const)),
)('%s', async ([, id, request, expected, warns]) => {
  const line = fakes.open(id, { kind: 'says', said: says('') });
  const outcome = await callEmbeddings(transport, id, line.endpoint, request);
  if (without.includes(id)) {
    expect(outcome.kind).toBe('cannot');
    expect(line.seen).toEqual([]);
    return;
  }
  expect(line.seen.map(({ refused }) => refused)).toEqual([null]);
  expect(line.seen[0]?.asked.ignored).toEqual([]);
  const texts = [(request as { input: string | string[] }).input].flat();
  expect(line.seen[0]?.heard?.parts).toEqual(texts.map((text) => ({ who: 'user', text })));
  if (outcome.kind !== 'called' || outcome.result.kind !== 'answer') throw new Error(JSON.stringify(outcome));
  expect(outcome.result.answer.vectors).toEqual(expected);
  const usage = usageUnknown.includes(id) ? null : { inputTokens: texts.length * 3, outputTokens: 0 };
  if (usage === null) expect(outcome.result.answer.usage).toBeNull();
  else expect(outcome.result.answer.usage).toMatchObject(usage);
  const expectedWarnings = [warns[id], usage === null ? /how many tokens/ : undefined].filter(
    (each) => each !== undefined,
  );
  expect(outcome.warnings.filter((each) => !expectedWarnings.some((pattern) => pattern.test(each)))).toEqual([]);
  expect(outcome.warnings).toHaveLength(expectedWarnings.length);
});

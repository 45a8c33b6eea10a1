import { describe, expect, test } from 'vitest';
import type { Effort } from '../efforts.ts';
import {
  defaultMaxTokens,
  type Thinking,
  takesForcedTools,
  takesLaterSystem,
  takesPrefill,
  takesSampling,
  thinkingFor,
} from './model-rules.ts';

const older = '2023-06-01';

/** Sampling, forced tools, prefill, instructions inside the conversation. */
test.for<[string, boolean, ReturnType<typeof takesForcedTools>, boolean, boolean]>([
  ['claude-2.1', true, 'yes', true, false],
  ['claude-instant-1.2', true, 'yes', true, false],
  ['claude-3-opus-20240229', true, 'yes', true, false],
  ['claude-3-5-sonnet-20241022', true, 'yes', true, false],
  ['claude-3-7-sonnet-latest', true, 'yes', true, false],
  ['claude-opus-4-20250514', true, 'yes', true, false],
  ['claude-opus-4-1-20250805', true, 'yes', true, false],
  ['claude-haiku-4-5', true, 'yes', true, false],
  ['claude-haiku-4-5-20251001', true, 'yes', true, false],
  ['claude-opus-4-5@20251101', true, 'yes', true, false],
  ['claude-opus-4-6', true, 'yes', false, false],
  ['anthropic/claude-sonnet-4.6', true, 'yes', false, false],
  ['claude-opus-4-7', false, 'yes', false, false],
  ['claude-opus-4-8', false, 'yes', false, true],
  ['claude-opus-5', false, 'yes', false, true],
  ['claude-sonnet-5', false, 'yes', false, false],
  ['claude-sonnet-5-20260601', false, 'yes', false, false],
  ['claude-opus-5-5', false, 'no', false, true],
  ['claude-sonnet-5-5', false, 'no', false, false],
  ['claude-haiku-5-5', false, 'unverified', false, false],
  ['claude-fable-5', false, 'yes', false, true],
  ['claude-fable-5-1', false, 'no', false, true],
  ['claude-fable-5-2', false, 'no', false, true],
  ['claude-mythos-5-1', false, 'no', false, true],
  ['claude-haiku-6', false, 'no', false, false],
  ['claude-sonnet-12', false, 'no', false, false],
  ['claude-opus', false, 'yes', true, false],
  ['something-new', false, 'yes', true, false],
])(
  '%s: sampling %s, forced tools %s, prefill %s, later instructions %s',
  ([model, sampling, forced, prefill, later]) => {
    expect(takesSampling(model, older)).toBe(sampling);
    expect(takesForcedTools(model)).toBe(forced);
    expect(takesPrefill(model)).toBe(prefill);
    expect(takesLaterSystem(model)).toBe(later);
  },
);

test.for(['2026-10-21', '2027-01-01'])('under version %s of the API no model takes sampling', (version) => {
  for (const model of ['claude-3-5-sonnet-20241022', 'claude-haiku-4-5', 'claude-opus-4-6'])
    expect(takesSampling(model, version)).toBe(false);
});

const unsaid: Thinking = { thinking: null, effort: null, warnings: [] };
const budget = (tokens: number): Partial<Thinking> => ({ thinking: { type: 'enabled', budget_tokens: tokens } });
const adaptive = (effort: Thinking['effort']): Partial<Thinking> => ({ thinking: { type: 'adaptive' }, effort });

describe('an effort is said in the words of the model', () => {
  test.for<[string, Effort | null, Partial<Thinking>]>([
    ['claude-haiku-4-5', null, {}],
    ['claude-haiku-4-5', 'minimal', budget(1_024)],
    ['claude-haiku-4-5', 'low', budget(1_024)],
    ['claude-haiku-4-5', 'medium', budget(4_096)],
    ['claude-haiku-4-5', 'high', budget(16_384)],
    ['claude-haiku-4-5', 'xhigh', budget(24_576)],
    ['claude-haiku-4-5', 'max', budget(24_576)],
    ['claude-3-7-sonnet-20250219', 'low', budget(1_024)],
    ['claude-3-5-sonnet-20241022', 'low', { warnings: ['dropped "reasoning_effort": this model does not think'] }],
    ['claude-opus-4-6', 'minimal', adaptive('low')],
    ['claude-opus-4-6', 'low', adaptive('low')],
    ['claude-opus-4-7', 'medium', adaptive('medium')],
    ['claude-opus-5-5', 'high', adaptive('high')],
    ['claude-sonnet-5-5', 'xhigh', adaptive('xhigh')],
    ['claude-fable-5-2', 'max', adaptive('max')],
    ['something-new', 'high', adaptive('high')],
    ['claude-opus-5-5', null, {}],
  ])('%s, %s', ([model, effort, expected]) => {
    expect(thinkingFor(model, effort, 64_000)).toEqual({ ...unsaid, ...expected });
  });
});

describe('no effort switches thinking off, where it can be', () => {
  const cannot: Partial<Thinking> = {
    effort: 'low',
    warnings: ['wrote "reasoning_effort" as "low": this model cannot be kept from thinking'],
  };
  test.for<[string, Partial<Thinking>]>([
    ['claude-haiku-4-5', {}],
    ['claude-opus-4-6', { thinking: { type: 'disabled' } }],
    ['claude-opus-5', { thinking: { type: 'disabled' } }],
    ['claude-sonnet-5', { thinking: { type: 'disabled' } }],
    ['claude-haiku-5-5', { thinking: { type: 'disabled' } }],
    ['claude-sonnet-5-5', { thinking: { type: 'between_tools' } }],
    ['claude-opus-5-5', cannot],
    ['claude-fable-5', cannot],
    ['claude-fable-5-2', cannot],
    ['claude-sonnet-6', cannot],
    ['something-new', cannot],
  ])('%s', ([model, expected]) => {
    expect(thinkingFor(model, 'none', 4_096)).toEqual({ ...unsaid, ...expected });
  });
});

test.for<[number, Partial<Thinking>]>([
  [1_024, { warnings: ['dropped "reasoning_effort": the bound on the answer leaves no room to think'] }],
  [1_025, budget(1_024)],
  [2_000, budget(1_600)],
  [20_000, budget(16_000)],
  [30_000, budget(16_384)],
])('a budget stays below the bound on the answer, and leaves a part of it: %d', ([maxTokens, expected]) => {
  expect(thinkingFor('claude-haiku-4-5', 'high', maxTokens)).toEqual({ ...unsaid, ...expected });
});

test.for<[string, Effort | null, boolean, number]>([
  ['claude-haiku-4-5', null, false, 4_096],
  ['claude-haiku-4-5', 'none', false, 4_096],
  ['claude-haiku-4-5', 'medium', false, 8_192],
  ['claude-haiku-4-5', 'high', false, 20_000],
  ['claude-haiku-4-5', 'high', true, 20_480],
  ['claude-haiku-4-5', 'max', true, 28_672],
  ['claude-opus-5-5', null, false, 8_192],
  ['claude-opus-5-5', 'none', false, 4_096],
  ['something-new', null, true, 8_192],
])('without a bound, %s with effort %s (streamed: %s) may write %d tokens', ([model, effort, stream, expected]) => {
  expect(defaultMaxTokens(model, effort, stream)).toBe(expected);
});

import { describe, expect, test } from 'vitest';
import { noRateLimits } from '../config/resolve-limits.ts';
import { type Candidate, candidates, type JobNeeds, skippedJson, type TargetFacts } from './candidates.ts';
import { rateLimits } from './limits.ts';

const untilMs = 1_000_001;
const facts: TargetFacts = {
  isConfigured: true,
  isEnabled: true,
  labels: ['eu', 'local'],
  capabilities: ['tools', 'vision'],
  lacks: [],
  contextWindow: 8_000,
  limits: rateLimits({ ...noRateLimits, requestsPerMinute: 1, tokensPerMinute: 2_000, outputTokensPerMinute: 300 }),
  breaker: null,
  closed: null,
};
const needs: JobNeeds = {
  capabilities: ['tools'],
  windowTokens: 1_000,
  size: { inputTokens: 900, outputTokens: 100 },
  require: ['eu'],
  excludeProviders: ['groq'],
};
type Change = { readonly facts?: Partial<TargetFacts>; readonly needs?: Partial<JobNeeds> };

const standing = (change: Change) =>
  candidates(['openai/gpt'], { ...needs, ...change.needs }, () => ({ ...facts, ...change.facts }))[0];

describe('a target is eligible', () => {
  test.for<[string, Change]>([
    ['when it has all that the job needs', {}],
    ['when its capabilities are unknown', { facts: { capabilities: null } }],
    ['when its context window is unknown', { facts: { contextWindow: null } }],
    ['when the request fits its window exactly', { needs: { windowTokens: 8_000 } }],
    ['when the job requires no label of one that has none', { needs: { require: [] }, facts: { labels: [] } }],
    ['when nothing is known that must fit its window', { needs: { windowTokens: 0 }, facts: { contextWindow: 1 } }],
    ['when it lacks what the job does not need', { facts: { lacks: ['logprobs'] } }],
    ['when the request is as large as its limits', { needs: { size: { inputTokens: 1_700, outputTokens: 300 } } }],
    [
      'when it has no limits',
      { needs: { size: { inputTokens: 9_000_000, outputTokens: 9_000_000 } }, facts: { limits: [] } },
    ],
    ['when a probe finds out whether it is well again', { facts: { breaker: { kind: 'half_open' } } }],
  ])('%s', ([, change]) => {
    expect(standing(change)).toEqual({ target: 'openai/gpt', kind: 'eligible' });
  });
});

describe('a target is skipped', () => {
  test.for<[string, Change, string, string]>([
    ['when its provider is gone', { facts: { isConfigured: false } }, 'not_configured', 'no provider "openai"'],
    ['when its provider is off', { facts: { isEnabled: false } }, 'disabled', 'provider "openai" is disabled'],
    ['when it lacks a required label', { needs: { require: ['eu', 'on'] } }, 'label', 'lacks the label "on"'],
    [
      'when the job excludes its provider',
      { needs: { excludeProviders: ['groq', 'openai'] } },
      'excluded',
      'provider "openai" is excluded',
    ],
    ['when its dialect lacks a capability', { facts: { lacks: ['tools'] } }, 'capability', 'cannot do "tools"'],
    [
      'when its known capabilities leave one out',
      { needs: { capabilities: ['tools', 'json_schema'] } },
      'capability',
      'cannot do "json_schema"',
    ],
    [
      'when it lacks a capability though its list is unknown',
      { facts: { capabilities: null, lacks: ['tools'] } },
      'capability',
      'cannot do "tools"',
    ],
    [
      'when the request is one token too long',
      { needs: { windowTokens: 8_001 } },
      'context_window',
      'about 8001 tokens do not fit into 8000',
    ],
    [
      'when the request is one token larger than a limit of its accounts',
      { needs: { size: { inputTokens: 1_900, outputTokens: 101 } } },
      'exceeds_limit',
      'about 2001 tokens exceed its limit of 2000 (tpm)',
    ],
    [
      'when its output alone is larger than a limit',
      { needs: { size: { inputTokens: 0, outputTokens: 301 } } },
      'exceeds_limit',
      'about 301 output tokens exceed its limit of 300 (output_tpm)',
    ],
    [
      'when its breaker was opened until somebody closes it',
      { facts: { breaker: { kind: 'open', untilMs: null } } },
      'breaker',
      'its breaker is open',
    ],
  ])('%s', ([, change, reason, detail]) => {
    expect(standing(change)).toEqual({ target: 'openai/gpt', kind: 'skipped', reason, detail, untilMs: null });
  });

  test.for<[string, TargetFacts['closed'], object]>([
    [
      'when it is paused, until the pause ends',
      { why: 'paused', untilMs },
      { reason: 'paused', detail: 'paused after a failure', untilMs },
    ],
    [
      'when it is at its limits, until they end',
      { why: 'limited', untilMs },
      { reason: 'limited', detail: 'at its limit' },
    ],
    [
      'when every credential is refused, until one is tried again',
      { why: 'credentials_exhausted', untilMs },
      { reason: 'credentials_exhausted', detail: 'no credential may be used', untilMs },
    ],
    [
      'when no credential is there, until somebody gives one',
      { why: 'credentials_exhausted', untilMs: null },
      { reason: 'credentials_exhausted', untilMs: null },
    ],
  ])('%s', ([, closed, expected]) => {
    expect(standing({ facts: { closed } })).toMatchObject({ target: 'openai/gpt', kind: 'skipped', ...expected });
  });

  test('when its breaker is open, until a probe may be made', () => {
    const change = { facts: { breaker: { kind: 'open', untilMs } as const } };
    expect(standing(change)).toMatchObject({ kind: 'skipped', reason: 'breaker', untilMs });
  });

  test('for a pause before its breaker', () => {
    const closed = { why: 'paused', untilMs: untilMs + 1 } as const;
    const change = { facts: { closed, breaker: { kind: 'open', untilMs } as const } };
    expect(standing(change)).toMatchObject({ reason: 'paused', untilMs: untilMs + 1 });
  });

  test('for a reason that lasts before one that ends, so that nobody waits in vain', () => {
    const change = { facts: { closed: { why: 'paused', untilMs } as const, labels: [] } };
    expect(standing(change)).toMatchObject({ reason: 'label', untilMs: null });
  });
});

test('each target is judged by its own facts, in the order of the chain', () => {
  const factsOf = (target: string) => ({ ...facts, isEnabled: target !== 'b/1' });
  const found = candidates(['c/1', 'b/1', 'a/1'], needs, factsOf);
  expect(found.map((candidate) => `${candidate.target} ${candidate.kind}`)).toEqual([
    'c/1 eligible',
    'b/1 skipped',
    'a/1 eligible',
  ]);
});

describe('of a pause and an open breaker, the one that ends last is told', () => {
  const open = (until: number | null) => ({ breaker: { kind: 'open', untilMs: until } }) as const;
  test.for<[string, Partial<TargetFacts>, string, number | null]>([
    ['the breaker', { closed: { why: 'limited', untilMs: 5 }, ...open(9) }, 'breaker', 9],
    ['the pause', { closed: { why: 'paused', untilMs: 9 }, ...open(5) }, 'paused', 9],
    ['one without an end', { closed: { why: 'limited', untilMs: 5 }, ...open(null) }, 'breaker', null],
  ])('%s', ([, change, reason, until]) => {
    expect(standing({ facts: change })).toMatchObject({ reason, untilMs: until });
  });
});

describe('skippedJson', () => {
  const skipped = (target: string): Candidate => ({
    ...{ target, kind: 'skipped', reason: 'breaker', detail: 'its breaker is open', untilMs: 5 },
  });

  test('is nothing where nothing stood against any', () => {
    expect(skippedJson([])).toBeNull();
    expect(skippedJson([{ target: 'p/m', kind: 'eligible' }])).toBeNull();
  });

  test('says what stood against the others', () => {
    expect(skippedJson([skipped('p/m'), { target: 'q/m', kind: 'eligible' }])).toBe(
      '[{"target":"p/m","reason":"breaker","detail":"its breaker is open"}]',
    );
  });

  test('keeps as many as fit, whole', () => {
    const found = Array.from({ length: 60 }, (_, n) => skipped(`a-provider/a-model-with-a-long-name-${100 + n}`));
    const text = skippedJson(found) ?? '';
    expect(text.length).toBeGreaterThan(3_800);
    expect(text.length).toBeLessThanOrEqual(4_000);
    const kept = JSON.parse(text) as { target: string }[];
    expect(kept.map(({ target }) => target)).toEqual(found.slice(0, kept.length).map(({ target }) => target));
  });
});

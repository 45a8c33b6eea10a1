import { describe, expect, test } from 'vitest';
import { credentialRefs } from '../config/credential-refs.ts';
import { parseEnvironment } from '../config/environment.ts';
import { settingsOf } from '../config/load.ts';
import { type SharedState, targetFacts } from './target-facts.ts';

const nowMs = 1_000;
const unpaused: SharedState = {
  pauses: new Map(),
  switches: new Map(),
  windows: new Map(),
  credentialsOf: credentialRefs,
};
function factsOf(file: object, target: string, change: Partial<SharedState> = {}) {
  const parsed = parseEnvironment({ OPENAI_API_KEY: 'a-secret' });
  if (parsed.kind === 'faults') throw new Error(JSON.stringify(parsed.faults));
  const providers = { openai: { labels: ['eu'], ...file } };
  const settings = settingsOf({ providers }, parsed.environment, 'the test');
  return targetFacts(settings, { ...unpaused, ...change }, nowMs)(target);
}
const known = {
  isConfigured: true,
  isEnabled: true,
  labels: ['eu'],
  capabilities: null,
  lacks: [],
  contextWindow: null,
  closed: null,
};
const models = (name: string, change: object) => ({ models: { [name]: change } });

describe('targetFacts', () => {
  test.for<[string, object, string, object]>([
    ['leaves unknown what nobody knows', {}, 'openai/mine', known],
    [
      'marks a provider that is not configured',
      {},
      'gone/mine',
      { ...known, isConfigured: false, isEnabled: false, labels: [] },
    ],
    ['marks a provider that is off', { enabled: false }, 'openai/mine', { ...known, isEnabled: false }],
    [
      'takes configured capabilities',
      models('mine', { capabilities: ['tools'] }),
      'openai/mine',
      { ...known, capabilities: ['tools'] },
    ],
    [
      'keeps the slashes of a model',
      models('a/b', { context_window: 7 }),
      'openai/a/b',
      { ...known, contextWindow: 7 },
    ],
  ])('%s', ([, change, target, expected]) => {
    expect(factsOf(change, target)).toEqual(expected);
  });

  const said: Partial<SharedState> = { windows: new Map([['openai/gpt-4.1-mini', 500]]) };
  test.for<[string, object, Partial<SharedState>, number]>([
    ['the catalogue knows', {}, {}, 1_047_576],
    ['the server says, before the catalogue', {}, said, 500],
    ['is configured, before all', models('gpt-4.1-mini', { context_window: 9 }), said, 9],
  ])('takes the window that %s', ([, change, state, expected]) => {
    expect(factsOf(change, 'openai/gpt-4.1-mini', state).contextWindow).toBe(expected);
  });

  test.for<[string, object, string, string]>([
    ['a dialect', { preset: 'anthropic', api_key: 'x' }, 'openai/mine', 'multiple_choices'],
    ['a provider', { preset: 'groq', api_key: 'x' }, 'openai/mine', 'multiple_choices'],
    ['its quirks', { quirks: { json_mode: 'json_object' } }, 'openai/mine', 'json_schema'],
    ['a model of the catalogue', { preset: 'groq', api_key: 'x' }, 'openai/llama-3.3-70b-versatile', 'vision'],
  ])('knows what %s lacks', ([, change, target, expected]) => {
    expect(factsOf(change, target).lacks).toContain(expected);
  });

  test.for([
    ['on', false, true, true],
    ['off', true, false, false],
  ] as const)('an operator switches a provider %s, whatever is configured', ([, enabled, isOn, expected]) => {
    const switches = new Map([
      ['openai', isOn],
      ['groq', !isOn],
    ]);
    expect(factsOf({ enabled }, 'openai/mine', { switches }).isEnabled).toBe(expected);
  });
});

describe('a target is closed', () => {
  const pausesOf = (scope: string, kind: string, untilMs: number) => ({
    pauses: new Map([[scope, { kind, untilMs }]]),
  });
  test.for<[string, Partial<SharedState>, object | null]>([
    ['by a failure', pausesOf('provider:openai', 'region', 5_000), { why: 'paused', untilMs: 5_000 }],
    ['by a limit', pausesOf('account:openai/default', 'rate_limit', 5_000), { why: 'limited', untilMs: 5_000 }],
    [
      'for want of a credential that is not refused',
      pausesOf('account:openai/default', 'billing', 5_000),
      { why: 'credentials_exhausted', untilMs: 5_000 },
    ],
    [
      'for want of any credential, until somebody gives one',
      { credentialsOf: () => [] },
      { why: 'credentials_exhausted', untilMs: null },
    ],
    ['no more when the pause has ended', pausesOf('provider:openai', 'region', nowMs), null],
    ['not by a pause of another model', pausesOf('model:openai/other', 'model_not_found', 5_000), null],
  ])('%s', ([, state, expected]) => {
    expect(factsOf({}, 'openai/mine', state).closed).toEqual(expected);
  });
});

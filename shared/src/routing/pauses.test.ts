import { describe, expect, test } from 'vitest';
import { credentialRefs } from '../config/credential-refs.ts';
import { parseEnvironment } from '../config/environment.ts';
import { settingsOf } from '../config/load.ts';
import type { ProviderSettings } from '../config/settings.ts';
import type { CredentialRef } from '../security/credential-id.ts';
import { openPlaces, type PauseSubject, type Pauses, pauseScopeKey } from './pauses.ts';

const target = 'mine/org/m:1';
const nowMs = 1_000;

/** Two accounts, of which the first has two credentials, at two addresses. */
const twoByTwo = {
  endpoints: ['http://one', 'http://two'],
  credentials: [
    { env: 'A1', account: 'a' },
    { env: 'A2', account: 'a' },
    { env: 'B', account: 'b' },
  ],
};
function providerOf(file: object): ProviderSettings {
  const parsed = parseEnvironment({ A1: 'secret-1', A2: 'secret-2', B: 'secret-3' });
  if (parsed.kind === 'faults') throw new Error(JSON.stringify(parsed.faults));
  const provider = settingsOf({ providers: { mine: file } }, parsed.environment, 'the test').providers.mine;
  if (!provider) throw new Error('no provider');
  return provider;
}
const provider = providerOf(twoByTwo);
const [a1, a2, b] = credentialRefs(provider).map(({ id }) => id) as [string, string, string];
const subject: PauseSubject = { target, account: 'a', credentialId: a1, endpoint: 1 };
const pausesOf = (entries: Record<string, number>, kind = 'auth'): Pauses =>
  new Map(Object.entries(entries).map(([scope, untilMs]) => [scope, { kind, untilMs }]));
const open = (pauses: Pauses, file?: ProviderSettings, refs?: readonly CredentialRef[]) => {
  const of = file ?? provider;
  const found = openPlaces(of, target, refs ?? credentialRefs(of), pauses, nowMs);
  return {
    ...found,
    places: found.places.map(({ id }) => id),
    credentials: found.credentials.map(({ id }) => id),
  };
};
const later = nowMs + 5_000;
const everywhere = ['a', 'a@2', 'b', 'b@2'];

describe('a scope is kept under a key that begins with its provider', () => {
  test.for([
    ['provider', 'provider:mine'],
    ['model', 'model:mine/org/m:1'],
    ['endpoint', 'endpoint:mine/1'],
    ['account', 'account:mine/a'],
    ['account_model', 'account_model:mine/a/org/m:1'],
    ['credential', `credential:mine/${a1}`],
    ['credential_model', `credential_model:mine/${a1}/org/m:1`],
  ] as const)('%s: %s', ([scope, expected]) => {
    expect(pauseScopeKey(scope, subject)).toBe(expected);
  });

  test('a server that asks for no credential has one all the same', () => {
    expect(pauseScopeKey('credential', { ...subject, credentialId: null })).toBe('credential:mine/none');
  });
});

describe('what is open of a target with two accounts at two addresses', () => {
  test('is all of it when nothing is paused', () => {
    expect(open(new Map())).toEqual({
      places: everywhere,
      credentials: [a1, a2, b],
      closedUntilMs: null,
      closedBy: null,
    });
  });

  test.for<[string, Record<string, number>, string[], string[]]>([
    ['an account', { 'account:mine/a': later }, ['b', 'b@2'], [b]],
    ['an account for this model', { 'account_model:mine/b/org/m:1': later }, ['a', 'a@2'], [a1, a2]],
    ['an account for another model', { 'account_model:mine/b/org/m:2': later }, everywhere, [a1, a2, b]],
    ['one credential of two', { [`credential:mine/${a1}`]: later }, everywhere, [a2, b]],
    [
      'both credentials of an account',
      { [`credential:mine/${a1}`]: later, [`credential:mine/${a2}`]: later },
      ['b', 'b@2'],
      [b],
    ],
    ['a credential for this model', { [`credential_model:mine/${b}/org/m:1`]: later }, ['a', 'a@2'], [a1, a2]],
    ['a credential for another model', { [`credential_model:mine/${b}/other`]: later }, everywhere, [a1, a2, b]],
    [
      'a credential as it was before its secret changed',
      { 'credential:mine/B#00000000': later },
      everywhere,
      [a1, a2, b],
    ],
    ['the second address', { 'endpoint:mine/2': later }, ['a', 'b'], [a1, a2, b]],
    ['an account and an address', { 'account:mine/a': later, 'endpoint:mine/1': later }, ['b@2'], [b]],
    ['an account of another provider', { 'account:other/a': later }, everywhere, [a1, a2, b]],
    ['another model', { 'model:mine/org/m:2': later }, everywhere, [a1, a2, b]],
  ])('is the rest when a pause takes out %s', ([, pauses, places, credentials]) => {
    expect(open(pausesOf(pauses))).toEqual({ places, credentials, closedUntilMs: null, closedBy: null });
  });

  test('is all of it again when the pauses have ended', () => {
    const ended = { 'provider:mine': nowMs, 'account:mine/a': nowMs, [`credential:mine/${b}`]: nowMs - 1 };
    expect(open(pausesOf(ended)).places).toEqual(everywhere);
  });
});

describe('when nothing is open', () => {
  const bothAccounts = { 'account:mine/a': later + 2, 'account:mine/b': later + 1 };
  test.for<[string, Record<string, number>, number]>([
    ['the provider is waited for', { 'provider:mine': later }, later],
    ['the model is waited for', { 'model:mine/org/m:1': later }, later],
    ['the later of both', { 'model:mine/org/m:1': later, 'provider:mine': later + 1 }, later + 1],
    ['the account that opens first', bothAccounts, later + 1],
    ['the address that opens first', { 'endpoint:mine/1': later + 3, 'endpoint:mine/2': later + 2 }, later + 2],
    [
      'the credential of an account that opens first',
      { [`credential:mine/${a1}`]: later + 9, [`credential:mine/${a2}`]: later, 'account:mine/b': later + 5 },
      later,
    ],
    [
      'the later of a credential and its account',
      { [`credential:mine/${b}`]: later, 'account:mine/b': later + 4, 'account:mine/a': later + 9 },
      later + 4,
    ],
    [
      'a place whose account and address are both open by then',
      { ...bothAccounts, 'endpoint:mine/1': later + 1, 'endpoint:mine/2': later + 8 },
      later + 1,
    ],
    ['a provider that opens after its accounts', { ...bothAccounts, 'provider:mine': later + 7 }, later + 7],
  ])('%s', ([, pauses, closedUntilMs]) => {
    expect(open(pausesOf(pauses))).toMatchObject({ places: [], closedUntilMs });
  });

  const refusedAll = { [`credential:mine/${a1}`]: later, [`credential:mine/${a2}`]: later, 'account:mine/b': later };
  test.for<[string, Pauses, string]>([
    ['credentials, when each is refused', pausesOf(refusedAll), 'credentials'],
    [
      'credentials, when one of them is at a limit',
      new Map([...pausesOf(refusedAll), ...pausesOf({ 'account:mine/b': later }, 'rate_limit')]),
      'credentials',
    ],
    ['limits, when all of them are', pausesOf(bothAccounts, 'rate_limit'), 'limits'],
    [
      'limits, when some last a day',
      new Map([...pausesOf(bothAccounts, 'rate_limit'), ...pausesOf({ 'account:mine/a': later }, 'quota_period')]),
      'limits',
    ],
    ['failures, when the provider is paused', pausesOf({ 'provider:mine': later }, 'region'), 'failures'],
    ['failures, when the provider is paused besides', pausesOf({ ...refusedAll, 'provider:mine': later }), 'failures'],
    [
      'failures, when the addresses are',
      pausesOf({ 'endpoint:mine/1': later, 'endpoint:mine/2': later }, 'network'),
      'failures',
    ],
    [
      'limits, though a pause of another kind has ended',
      new Map([...pausesOf(bothAccounts, 'rate_limit'), ...pausesOf({ 'provider:mine': nowMs }, 'region')]),
      'limits',
    ],
  ])('it is for want of %s', ([, pauses, closedBy]) => {
    expect(open(pauses).closedBy).toBe(closedBy);
  });
});

describe('a provider without credentials', () => {
  const local = providerOf({ base_url: 'http://one' });
  test('has one account', () => {
    expect(open(new Map(), local)).toEqual({
      places: ['default'],
      credentials: [],
      closedUntilMs: null,
      closedBy: null,
    });
  });

  test.for([
    'account:mine/default',
    'account_model:mine/default/org/m:1',
    'credential:mine/none',
    'credential_model:mine/none/org/m:1',
  ])('is paused by %s, and never for want of credentials', (scope) => {
    expect(open(pausesOf({ [scope]: later }), local)).toEqual({
      places: [],
      credentials: [],
      closedUntilMs: later,
      closedBy: 'failures',
    });
  });
});

describe('credentials that are stored, and were not read', () => {
  const stored = providerOf({
    base_url: 'http://one',
    credentials: [
      { stored: 'one', account: 'a' },
      { stored: 'two', account: 'b' },
    ],
  });

  test('leave nothing open until somebody gives them', () => {
    expect(open(new Map(), stored, [])).toEqual({
      places: [],
      credentials: [],
      closedUntilMs: null,
      closedBy: 'credentials',
    });
  });

  test('leave open the account of one that was', () => {
    const [, two] = credentialRefs(stored);
    expect(open(new Map(), stored, two ? [two] : [])).toMatchObject({ places: ['b'], credentials: ['two'] });
  });

  test('do not keep one that is paused from coming back', () => {
    const [one] = credentialRefs(stored);
    const pauses = pausesOf({ 'credential:mine/one': later });
    expect(open(pauses, stored, one ? [one] : [])).toMatchObject({
      places: [],
      closedUntilMs: later,
      closedBy: 'credentials',
    });
  });
});

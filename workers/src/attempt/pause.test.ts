import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import { placesOf } from '@waybill/shared/config/model-settings.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import type { Failure, FailureKind } from '@waybill/shared/domain/failure.ts';
import { failure } from '@waybill/shared/providers/dialect.ts';
import type { Pause } from '@waybill/shared/routing/pauses.ts';
import { Secret } from '@waybill/shared/security/secret.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { readEvents } from '@waybill/shared/store/events.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { WorkerContext } from '../worker-context.ts';
import type { Means } from './means.ts';
import { isOpenElsewhere, pauseScope } from './pause.ts';

const parsed = parseEnvironment({ KEY_A: 'secret-a', KEY_B: 'secret-b' });
if (parsed.kind === 'faults') throw new Error('the environment is valid');
const { providers } = settingsOf(
  {
    providers: {
      p: {
        preset: 'openai-compatible',
        endpoints: ['http://127.0.0.1:1/v1', 'http://127.0.0.1:2/v1'],
        credentials: [
          { env: 'KEY_A', account: 'a' },
          { env: 'KEY_B', account: 'b' },
        ],
      },
    },
  },
  parsed.environment,
  'the test',
);
const provider = Object.values(providers)[0];
if (!provider) throw new Error('the provider is configured');
const credentials = ['a', 'b'].map((account) => ({
  id: `${account}#1`,
  name: account,
  account,
  secret: new Secret(`secret-${account}`),
}));
const nowMs = 1_000_000;
const hour = 3_600_000;

let database: Database;
beforeAll(async () => {
  database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
});
afterAll(() => database.close());
beforeEach(() => database.pool.query('truncate waybill.events'));

/** A fleet in which nothing is paused yet, and the means of a call of account a at the second address. */
function start({ isStoreDown = false } = {}) {
  const pauses = new Map<string, Pause>();
  const log: string[] = [];
  const coordination = {
    async pause(scope: string, kind: string, untilMs: number) {
      if (isStoreDown) throw new Error('the store is down');
      const isNew = !pauses.has(scope);
      pauses.set(scope, { kind, untilMs });
      return isNew;
    },
  } as unknown as Coordination;
  const context = {
    coordination,
    database,
    fleet: {
      read: async () => ({ pauses, throughput: new Map(), switches: new Map(), breakers: new Map() }),
      forget: () => undefined,
    },
    credentials: { of: () => credentials },
    logger: createLogger({ level: 'debug', destination: { write: (line) => void log.push(line) } }),
    now: () => nowMs,
  } as unknown as WorkerContext;
  const meansOf = (account: string): Means => {
    const place = placesOf(provider as NonNullable<typeof provider>, 'm').find(({ id }) => id === `${account}@2`);
    if (!place) throw new Error('the place is configured');
    const permit = {
      token: 't',
      target: 'p/m',
      epoch: 'e',
      place,
      isAlone: true,
      isProbe: false,
      reservation: null,
      takenAtMs: 0,
    };
    const credential = credentials.find((each) => each.account === account) ?? null;
    return { permit, credential, provider: provider as NonNullable<typeof provider> };
  };
  return {
    pauses,
    log,
    pause: (failed: Failure, account = 'a') => pauseScope(failed, meansOf(account), context),
    isOpenElsewhere: (failed: Failure) => isOpenElsewhere(failed, meansOf('a'), [], context),
  };
}
const typesOf = async () => (await readEvents(database, 0, 100)).map(({ type }) => type);

test.for<[FailureKind, Partial<Failure>, string, number]>([
  ['auth', {}, 'credential:p/a#1', hour],
  ['permission', {}, 'credential_model:p/a#1/m', hour],
  ['billing', {}, 'account:p/a', hour],
  ['quota_period', {}, 'account_model:p/a/m', hour],
  ['quota_period', { retryAfterMs: 5_000 }, 'account_model:p/a/m', 5_000],
  ['model_not_found', {}, 'model:p/m', hour / 6],
  ['region', {}, 'provider:p', hour],
  ['model_not_found', { scope: 'credential_model' }, 'credential_model:p/a#1/m', hour / 6],
  ['overloaded', { scope: 'endpoint' }, 'endpoint:p/2', 60_000],
])('%s pauses what it says %o', async ([kind, more, scope, ms]) => {
  const fleet = start();
  expect(await fleet.pause(failure(kind, 'no', more))).toBe(true);
  expect([...fleet.pauses]).toEqual([[scope, { kind, untilMs: nowMs + ms }]]);
});

test.for<FailureKind>(['rate_limit', 'server_error', 'timeout', 'bad_output'])('%s pauses nothing', async (kind) => {
  const fleet = start();
  expect(await fleet.pause(failure(kind, 'no'))).toBe(true);
  expect(fleet.pauses.size).toBe(0);
});

test('a dead credential is told of once, and the last one as well; no secret is in it', async () => {
  const fleet = start();
  await fleet.pause(failure('auth', 'no'));
  await fleet.pause(failure('auth', 'no'));
  expect(await typesOf()).toEqual(['credential.dead']);
  await fleet.pause(failure('auth', 'no'), 'b');
  expect(await typesOf()).toEqual(['credential.dead', 'credential.dead', 'credentials.exhausted']);
  const [dead] = await readEvents(database, 0, 1);
  expect(dead?.data).toMatchObject({ provider: 'p', target: 'p/m', credential: 'a', account: 'a', failure: 'auth' });
  expect(`${JSON.stringify(await readEvents(database, 0, 100))}${fleet.log.join()}`).not.toContain('secret-');
});

test('a pause that ends by itself is no death', async () => {
  await start().pause(failure('permission', 'no'));
  expect(await typesOf()).toEqual([]);
});

test('a store that is down costs no attempt its settle', async () => {
  const fleet = start({ isStoreDown: true });
  expect(await fleet.pause(failure('auth', 'no'))).toBe(false);
  expect(fleet.log.join()).toContain('a pause could not be told');
});

test.for<[string, Failure, readonly string[], boolean]>([
  ['another credential, after the pause of the refused one', failure('auth', 'no'), [], true],
  ['another account, after the pause of one', failure('billing', 'no'), [], true],
  ['nobody, when the other is paused as well', failure('auth', 'no'), ['credential:p/b#1'], false],
  ['nobody, when it is the model that is missing', failure('model_not_found', 'no'), [], false],
  ['another account, after a limit', failure('rate_limit', 'no'), [], true],
  ['nobody after a limit, when the other account is paused', failure('rate_limit', 'no'), ['account:p/b'], false],
])('a target is open elsewhere for %s', async ([, failed, paused, expected]) => {
  const fleet = start();
  for (const scope of paused) fleet.pauses.set(scope, { kind: 'auth', untilMs: nowMs + hour });
  await fleet.pause(failed);
  expect(await fleet.isOpenElsewhere(failed)).toBe(expected);
});

/** What calls say of servers: which outcomes count, when they are told, and that nobody waits for it. */
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import { type FailureKind, failureKinds } from '@waybill/shared/domain/failure.ts';
import { failure } from '@waybill/shared/providers/dialect.ts';
import type { CallResult } from '@waybill/shared/providers/transport.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { readEvents } from '@waybill/shared/store/events.ts';
import { readHealth } from '@waybill/shared/store/health.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startObserver } from './observer.ts';

const meta = { firstByteMs: 1, httpStatus: 200, requestId: null, isSent: true, limitHeaders: {} };
const answered: CallResult<unknown> = { kind: 'answer', answer: {}, meta };
const stopped: CallResult<unknown> = { kind: 'stopped', reason: 'cancelled', meta };
const failed = (kind: FailureKind): CallResult<unknown> => ({
  kind: 'failure',
  failure: failure(kind, 'for the test'),
  partial: null,
  meta,
});

let database: Database;
let count = 0;

beforeAll(async () => {
  database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
});
afterAll(() => database?.close());

function settingsFor(provider: string, addresses: number): Settings {
  const parsed = parseEnvironment({});
  if (parsed.kind === 'faults') throw new Error('the empty environment is valid');
  const endpoints = Array.from({ length: addresses }, (_, n) => `http://127.0.0.1:${n + 1}/v1`);
  return settingsOf({ providers: { [provider]: { preset: 'vllm', endpoints } } }, parsed.environment, 'the test');
}

/** A provider that no other test knows. */
const newProvider = () => {
  count += 1;
  return `provider-${count}`;
};

function start({ provider = newProvider(), addresses = 2, from = database, nowMs = 1_000_000 } = {}) {
  const settings = settingsFor(provider, addresses);
  const said: string[] = [];
  const log: string[] = [];
  const observer = startObserver({
    database: from,
    // What is told to the fleet is proven on real stores elsewhere; here, that it is told.
    coordination: {
      pause: async (scope: string, kind: string, untilMs: number) =>
        void said.push(`pause ${scope} ${kind} ${untilMs}`),
      resume: async (scope: string) => void said.push(`resume ${scope}`),
      publish: ({ type }: { type: string }) => void said.push(`publish ${type}`),
    } as unknown as Coordination,
    fleet: { read: () => Promise.reject(new Error('not read')), forget: () => void said.push('forget') },
    settings: () => settings,
    logger: createLogger({ level: 'debug', destination: { write: (line) => void log.push(line) } }),
    now: () => nowMs,
  });
  const note = (results: readonly CallResult<unknown>[], endpoint = 1) => {
    for (const each of results) observer.note({ provider, endpoint }, each, 50);
  };
  const read = async (endpoint = 1) =>
    (await readHealth(database)).find((each) => each.provider === provider && each.endpoint === endpoint)?.health;
  const events = async () =>
    (await readEvents(database, 0, 1_000))
      .filter(({ data }) => (data as { provider: string }).provider === provider)
      .map(({ type, data }) => ({ type, ...(data as object) }));
  return { provider, observer, note, read, events, said, log };
}

test('outcomes are told by themselves, soon', async () => {
  const { observer, note, read } = start();
  note([answered, failed('server_error')]);
  await expect.poll(async () => (await read())?.calls, { timeout: 20_000 }).toEqual([50, -51]);
  await observer.stop();
  expect((await read())?.calls, 'told once').toEqual([50, -51]);
});

test('what was not told yet is told at the end', async () => {
  const { observer, note, read } = start();
  note([answered, answered]);
  await observer.stop();
  expect((await read())?.consecutiveSuccesses).toBe(2);
});

const ofServer: readonly FailureKind[] = [
  'overloaded',
  'server_error',
  'timeout',
  'network',
  'stream_interrupted',
  'unknown',
];

test('only failures of the server count, and a call that we stopped says nothing', async () => {
  const { observer, note, read } = start();
  note([...failureKinds.filter((kind) => !ofServer.includes(kind) && kind !== 'model_loading').map(failed), stopped]);
  await observer.stop();
  expect(await read()).toBeUndefined();
  const other = start();
  other.note(ofServer.map(failed));
  await other.observer.stop();
  expect(await other.read()).toMatchObject({ status: 'unhealthy', consecutiveFailures: ofServer.length });
});

test('an ill address of several is left alone and told of once; well again, it is called again', async () => {
  const ill = start();
  ill.note([answered], 1);
  ill.note([failed('network'), failed('network'), failed('network')], 2);
  await ill.observer.stop();
  const scope = `endpoint:${ill.provider}/2`;
  expect(ill.said).toEqual([`pause ${scope} unhealthy ${1_000_000 + 3 * 30_000}`, 'forget']);
  expect(await ill.events()).toEqual([
    {
      type: 'provider.unhealthy',
      ...{ provider: ill.provider, endpoint: 2, address: 'http://127.0.0.1:2/v1' },
      ...{ last_failure: 'network', consecutive_failures: 3 },
    },
  ]);
  expect(ill.log.filter((line) => line.includes('a provider is unhealthy'))).toHaveLength(1);

  const well = start({ provider: ill.provider, nowMs: 1_010_000 });
  well.note([answered], 2);
  await well.observer.stop();
  expect(well.said, 'one answer is not enough').toEqual([`pause ${scope} unhealthy ${1_010_000 + 3 * 30_000}`]);
  const again = start({ provider: ill.provider, nowMs: 1_020_000 });
  again.note([answered], 2);
  await again.observer.stop();
  expect(again.said).toEqual([`resume ${scope}`, 'forget', 'publish configuration_changed']);
  expect((await ill.events()).map(({ type }) => type)).toEqual(['provider.unhealthy', 'provider.recovered']);
});

test('the only address is told of and not left alone by its calls', async () => {
  const { observer, note, said, events } = start({ addresses: 1 });
  note([failed('timeout'), failed('timeout'), failed('timeout')]);
  await observer.stop();
  expect(said.filter((each) => each.startsWith('pause'))).toEqual([]);
  expect(await events()).toHaveLength(1);
});

test('a provider that is no longer configured is forgotten', async () => {
  const { observer, read, log } = start();
  observer.note({ provider: 'gone', endpoint: 1 }, answered, 5);
  await observer.stop();
  expect(await read()).toBeUndefined();
  expect(log).toEqual([]);
});

test('a database that fails costs what was to be told, and nobody else notices', async () => {
  let isBroken = true;
  const transaction: Database['transaction'] = (work) =>
    isBroken ? Promise.reject(new Error('no database')) : database.transaction(work);
  const { observer, note, read, log } = start({ from: { ...database, transaction } });
  expect(() => note([answered])).not.toThrow();
  await expect.poll(() => log.some((line) => line.includes('a round failed')), { timeout: 20_000 }).toBe(true);
  expect(await read()).toBeUndefined();
  isBroken = false;
  note([failed('network')]);
  await expect.poll(async () => (await read())?.calls, { timeout: 20_000 }).toEqual([-51]);
  isBroken = true;
  note([answered]);
  await expect(observer.stop()).resolves.toBeUndefined();
});

test('while a database does not answer, notes are taken without waiting and their number is bounded', async () => {
  const open = Promise.withResolvers<void>();
  const isAsked = Promise.withResolvers<void>();
  const transaction: Database['transaction'] = async (work) => {
    isAsked.resolve();
    await open.promise;
    return database.transaction(work);
  };
  const { observer, note, read } = start({ from: { ...database, transaction } });
  note([answered]);
  await isAsked.promise;
  note(Array.from({ length: 5_000 }, () => answered));
  open.resolve();
  await observer.stop();
  expect((await read())?.consecutiveSuccesses).toBe(1 + 200);
});

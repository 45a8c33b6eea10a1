import { newId } from '@waybill/shared/domain/ids.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { endWorker, registerWorker } from '@waybill/shared/store/workers.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createHeldLease } from './held-lease.ts';

let database: Database;
beforeAll(async () => {
  database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
});
beforeEach(() => database.pool.query('truncate waybill.leases, waybill.workers cascade'));
afterAll(() => database.close());

/** A process that is alive; time passes for it only when a test says so. */
async function startProcess() {
  const ids = [newId('wrk')];
  await registerWorker(database, ids[0] ?? '', 'test');
  await database.pool.query(`update waybill.workers set lease_until = now() + interval '1 hour'`);
  let nowMs = 0;
  let asked = 0;
  const counting = Object.create(database, {
    kysely: {
      get: () => {
        asked += 1;
        return database.kysely;
      },
    },
  }) as Database;
  const lease = { id: () => ids.at(-1) ?? '', stop: () => Promise.resolve() };
  const held = createHeldLease('dispatch', { database: counting, lease }, () => nowMs);
  return {
    holds: () => held.holds(),
    asked: () => asked,
    pass: (ms: number) => {
      nowMs += ms;
    },
    end: () => endWorker(database, lease.id()),
    async takeNewId() {
      const id = newId('wrk');
      await registerWorker(database, id, 'test');
      ids.push(id);
    },
  };
}

test('one process of the fleet holds it, and the next one when that is dead', async () => {
  const [one, other] = [await startProcess(), await startProcess()];
  expect([await one.holds(), await other.holds()]).toEqual([true, false]);
  expect([await one.holds(), await other.holds()]).toEqual([true, false]);
  await one.end();
  expect(await other.holds()).toBe(true);
  one.pass(3_000);
  expect(await one.holds()).toBe(false);
});

test('the holder asks again only after three seconds; who does not hold it asks every time', async () => {
  const [one, other] = [await startProcess(), await startProcess()];
  for (let n = 0; n < 10; n += 1) await one.holds();
  expect(one.asked()).toBe(1);
  one.pass(2_999);
  await one.holds();
  expect(one.asked()).toBe(1);
  one.pass(1);
  expect(await one.holds()).toBe(true);
  expect(one.asked()).toBe(2);
  for (let n = 0; n < 3; n += 1) expect(await other.holds()).toBe(false);
  expect(other.asked()).toBe(3);
});

test('a process under a new id asks at once, and takes over from its old one', async () => {
  const one = await startProcess();
  await one.holds();
  await one.end();
  await one.takeNewId();
  expect(await one.holds()).toBe(true);
  expect(one.asked()).toBe(2);
});

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Database } from './database.ts';
import { noteEvent, readEvents, type SystemEvent } from './events.ts';
import { openEmbeddedDatabase } from './open-embedded.ts';
import { preparedCacheDirectory } from './prepared.ts';

let database: Database;
beforeAll(async () => {
  database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
});
beforeEach(() => database.pool.query('truncate waybill.events'));
afterAll(() => database.close());

const eventOf = (id: string, data: SystemEvent['data'] = { provider: 'openai' }): SystemEvent => ({
  id,
  type: 'credential.dead',
  data,
});
const idsAfter = async (after: number, limit = 100) => (await readEvents(database, after, limit)).map(({ id }) => id);

test('what happened once is noted once, whoever notes it', async () => {
  const noted = await Promise.all(Array.from({ length: 5 }, (_, n) => noteEvent(database, eventOf('same', { n }))));
  expect(noted.filter((isNew) => isNew)).toHaveLength(1);
  const [event, ...more] = await readEvents(database, 0, 100);
  expect(more).toEqual([]);
  expect(event).toMatchObject({ id: 'same', type: 'credential.dead', data: { n: 0 }, createdAt: expect.any(Date) });
});

test('events are read in the order they were noted, each page after the last', async () => {
  for (const id of ['c', 'a', 'b', 'a', 'd']) await noteEvent(database, eventOf(id));
  const all = await readEvents(database, 0, 100);
  expect(all.map(({ id }) => id)).toEqual(['c', 'a', 'b', 'd']);
  const ords = all.map(({ ord }) => ord);
  expect(ords).toEqual(ords.toSorted((x, y) => x - y));
  expect(await idsAfter(0, 2)).toEqual(['c', 'a']);
  expect(await idsAfter(ords[1] ?? 0)).toEqual(['b', 'd']);
  expect(await idsAfter(ords[3] ?? 0)).toEqual([]);
});

test('words of a provider reach the database, whatever they hold', async () => {
  const data = { provider: 'openai', message: 'a NUL \u0000, half a pair \ud83d, "quotes"', count: null };
  await noteEvent(database, eventOf('odd', data));
  expect((await readEvents(database, 0, 1))[0]?.data).toEqual(data);
  await noteEvent(database, eventOf(`odd id \u0000${'x'.repeat(1_000)}`));
  expect((await idsAfter(0)).at(-1)?.length).toBeLessThanOrEqual(300);
});

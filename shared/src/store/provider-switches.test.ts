import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Database } from './database.ts';
import { openEmbeddedDatabase } from './open-embedded.ts';
import { preparedCacheDirectory } from './prepared.ts';
import { readSwitches, switchProvider } from './provider-switches.ts';

let database: Database;
beforeAll(async () => {
  database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
});
beforeEach(() => database.pool.query('truncate waybill.provider_switches'));
afterAll(() => database.close());

test('a provider that nobody switched is not named', async () => {
  expect(await readSwitches(database)).toEqual(new Map());
});

test('the last switch holds, each provider by itself', async () => {
  await switchProvider(database, 'openai', false, 'key_1');
  await switchProvider(database, 'groq', true, 'key_1');
  await switchProvider(database, 'openai', true, 'key_2');
  await switchProvider(database, 'groq', false, 'key_2');
  await switchProvider(database, 'groq', false, 'key_3');
  expect(await readSwitches(database)).toEqual(
    new Map([
      ['groq', false],
      ['openai', true],
    ]),
  );
  const { rows } = await database.pool.query('select provider, changed_by from waybill.provider_switches order by 1');
  expect(rows).toEqual([
    { provider: 'groq', changed_by: 'key_3' },
    { provider: 'openai', changed_by: 'key_2' },
  ]);
});

test('a switch is taken back: the configuration holds again', async () => {
  await switchProvider(database, 'openai', false, 'key_1');
  await switchProvider(database, 'groq', false, 'key_1');
  await switchProvider(database, 'openai', null, 'key_1');
  await switchProvider(database, 'never-switched', null, 'key_1');
  expect(await readSwitches(database)).toEqual(new Map([['groq', false]]));
});

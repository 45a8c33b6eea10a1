import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSealer } from '../security/seal.ts';
import { Secret } from '../security/secret.ts';
import { listCredentials, readCredentials, removeCredential, storeCredential } from './credentials.ts';
import type { Database } from './database.ts';
import { openEmbeddedDatabase } from './open-embedded.ts';
import { preparedCacheDirectory } from './prepared.ts';

const sealer = createSealer(Buffer.alloc(32, 7));
const anotherSealer = createSealer(Buffer.alloc(32, 8));
let database: Database;

beforeAll(async () => {
  database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
});
beforeEach(() => database.pool.query('truncate waybill.credentials'));
afterAll(() => database.close());

const store = (name: string, secret: string) => storeCredential(database, sealer, name, new Secret(secret));
const readAll = async (by = sealer) =>
  Object.fromEntries([...(await readCredentials(database, by))].map(([name, secret]) => [name, secret.reveal()]));

test('what was stored is read again by its name', async () => {
  await store('openai-main', 'sk-canary-1');
  await store('openai-backup', 'sk-canary-2 grüße 🚚');
  expect(await readAll()).toEqual({ 'openai-main': 'sk-canary-1', 'openai-backup': 'sk-canary-2 grüße 🚚' });
});

test('the secret is nowhere in the row, as text, as hex or as base64', async () => {
  await store('openai-main', 'sk-canary-1');
  const { rows } = await database.pool.query(`select c::text as text, sealed from waybill.credentials c`);
  const sealed = rows[0]?.sealed as Buffer;
  for (const encoding of ['utf8', 'hex', 'base64', 'latin1'] as const) {
    const needle = encoding === 'hex' || encoding === 'base64' ? Buffer.from('canary').toString(encoding) : 'canary';
    expect(sealed.toString(encoding)).not.toContain(needle);
    expect(rows[0]?.text).not.toContain(needle);
  }
});

test('another master key opens nothing, and keeps nobody from reading what it can open', async () => {
  await store('of-the-first-key', 'sk-canary-1');
  expect(await readAll(anotherSealer)).toEqual({});
  await storeCredential(database, anotherSealer, 'of-the-second', new Secret('sk-canary-2'));
  expect(await readAll(anotherSealer)).toEqual({ 'of-the-second': 'sk-canary-2' });
  expect(await readAll()).toEqual({ 'of-the-first-key': 'sk-canary-1' });
});

test('a sealed value that was moved to another name does not open', async () => {
  await store('mine', 'sk-canary-1');
  await store('theirs', 'sk-canary-2');
  await database.pool.query(
    `update waybill.credentials set sealed = (select sealed from waybill.credentials where name = 'mine') where name = 'theirs'`,
  );
  expect(await readAll()).toEqual({ mine: 'sk-canary-1' });
});

test('storing a name again replaces its secret, and says when', async () => {
  await store('openai-main', 'sk-old');
  await database.pool.query(`update waybill.credentials set updated_at = now() - interval '1 day'`);
  const [before] = await listCredentials(database);
  await store('openai-main', 'sk-new');
  const [after, ...more] = await listCredentials(database);
  expect(more).toEqual([]);
  expect(after?.updatedAt.getTime()).toBeGreaterThan(before?.updatedAt.getTime() ?? Number.NaN);
  expect(await readAll()).toEqual({ 'openai-main': 'sk-new' });
});

test('a list names credentials, in order, and shows no secret', async () => {
  for (const name of ['b', 'a', 'c']) await store(name, 'sk-canary-1');
  const list = await listCredentials(database);
  expect(list.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  expect(Object.keys(list[0] ?? {})).toEqual(['name', 'updatedAt']);
});

test('a credential is removed once', async () => {
  await store('a', 'sk-1');
  await store('b', 'sk-2');
  expect(await removeCredential(database, 'a')).toBe(true);
  expect(await removeCredential(database, 'a')).toBe(false);
  expect(await readAll()).toEqual({ b: 'sk-2' });
});

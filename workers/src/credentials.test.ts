import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CredentialSettings, ProviderSettings, Settings } from '@waybill/shared/config/settings.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { Secret } from '@waybill/shared/security/secret.ts';
import { removeCredential, storeCredential } from '@waybill/shared/store/credentials.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCredentials } from './credentials.ts';

const sealer = createSealer(Buffer.alloc(32, 7));
let database: Database;
let folder: string;

beforeAll(async () => {
  database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
  folder = await mkdtemp(join(tmpdir(), 'waybill-credentials-'));
});

afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

/** The credentials of one provider, as a process reads them. */
async function start(
  list: readonly CredentialSettings[],
  { from = database, onChange = () => {} }: { from?: Database; onChange?: () => void } = {},
) {
  const log: string[] = [];
  const provider = { id: 'p', credentials: list } as unknown as ProviderSettings;
  const credentials = await startCredentials({
    database: from,
    onChange,
    everyMs: 20,
    sealer,
    settings: () => ({ providers: { p: provider } }) as unknown as Settings,
    logger: createLogger({ level: 'debug', destination: { write: (line) => void log.push(line) } }),
  });
  return {
    log,
    refresh: credentials.refresh,
    read: () => credentials.of(provider).map(({ name, secret }) => `${name}=${secret.reveal()}`),
    ids: () => credentials.of(provider).map(({ id }) => id),
    [Symbol.asyncDispose]: credentials.stop,
  };
}
const file = (name: string): CredentialSettings => {
  const path = join(folder, name);
  return { name: path, account: 'default', source: { kind: 'file', path, secret: new Secret('at the start') } };
};
const stored = (name: string): CredentialSettings => ({ name, account: 'default', source: { kind: 'stored' } });

test('a credential of the environment is as it was configured', async () => {
  await using one = await start([
    { name: 'KEY', account: 'main', source: { kind: 'fixed', secret: new Secret('fixed') } },
  ]);
  await one.refresh();
  expect(one.read()).toEqual(['KEY=fixed']);
});

test('a file that changes is read again, without its line break, and is another credential then', async () => {
  const changing = file('changing');
  await writeFile(changing.name, 'first\n');
  await using one = await start([changing]);
  expect(one.read()).toEqual([`${changing.name}=first`]);
  const [before] = one.ids();
  await writeFile(changing.name, 'second\n');
  await one.refresh();
  expect(one.read()).toEqual([`${changing.name}=second`]);
  expect(one.ids()).not.toContain(before);
});

test('a change that nobody told of is found, and told once', async () => {
  const unannounced = file('unannounced');
  await writeFile(unannounced.name, 'first');
  const found = Promise.withResolvers<void>();
  let told = 0;
  const onChange = () => {
    told += 1;
    found.resolve();
  };
  await using one = await start([unannounced], { onChange });
  await writeFile(unannounced.name, 'second');
  await found.promise;
  expect(one.read()).toEqual([`${unannounced.name}=second`]);
  await writeFile(unannounced.name, 'second');
  await one.refresh();
  expect(told).toBe(1);
});

test('a file that is empty or gone for a moment leaves the credential as it was', async () => {
  const flickering = file('flickering');
  await writeFile(flickering.name, 'known');
  await using one = await start([flickering]);
  await writeFile(flickering.name, ' \n');
  await one.refresh();
  expect(one.read()).toEqual([`${flickering.name}=known`]);
  await rm(flickering.name);
  await one.refresh();
  expect(one.read()).toEqual([`${flickering.name}=known`]);
});

test('a file that could never be read is as it was at the start of the process', async () => {
  const missing = file('missing');
  await using one = await start([missing]);
  expect(one.read()).toEqual([`${missing.name}=at the start`]);
});

test('a stored credential comes, changes and goes while the process runs', async () => {
  await using one = await start([stored('comes-and-goes')]);
  expect(one.read(), 'not stored yet').toEqual([]);
  for (const secret of ['first', 'second']) {
    await storeCredential(database, sealer, 'comes-and-goes', new Secret(secret));
    await one.refresh();
    expect(one.read()).toEqual([`comes-and-goes=${secret}`]);
  }
  await removeCredential(database, 'comes-and-goes');
  await one.refresh();
  expect(one.read()).toEqual([]);
});

test('a stored credential that was sealed under another master key is not there', async () => {
  await storeCredential(database, createSealer(Buffer.alloc(32, 8)), 'foreign', new Secret('foreign'));
  await using one = await start([stored('foreign')]);
  expect(one.read()).toEqual([]);
});

test('a database that does not answer leaves stored credentials as they were, and the log names no secret', async () => {
  await storeCredential(database, sealer, 'kept', new Secret('canary'));
  let isDown = false;
  const flaky = new Proxy(database, {
    get: (whole, key) => {
      if (key === 'kysely' && isDown) throw new Error('the database is down');
      return Reflect.get(whole, key);
    },
  });
  await using one = await start([stored('kept')], { from: flaky });
  isDown = true;
  await one.refresh();
  expect(one.read()).toEqual(['kept=canary']);
  expect(one.log.join('')).toContain('stored credentials could not be read');
  expect(one.log.join('')).not.toContain('canary');
});

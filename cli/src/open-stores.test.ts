import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Environment, parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { afterEach, expect, test } from 'vitest';
import { describeStores } from './describe-stores.ts';
import { openStores } from './open-stores.ts';

const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

const environmentOf = (env: NodeJS.ProcessEnv): Environment => {
  const parsed = parseEnvironment({ HOME: process.env.HOME, ...env });
  if (parsed.kind === 'faults') throw new Error(JSON.stringify(parsed.faults));
  return parsed.environment;
};

async function optionsOf(env: NodeJS.ProcessEnv = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'waybill-stores-'));
  directories.push(directory);
  const environment = environmentOf(env);
  const settings = settingsOf({ providers: {} }, environment, 'the test');
  return { settings, environment, directory, logger: createLogger({ level: 'silent' }) };
}

test('without servers everything is in one directory, which is free again after the close', async () => {
  const options = await optionsOf();
  for (let n = 0; n < 2; n += 1) {
    const stores = await openStores(options);
    expect(stores.isEmbedded).toBe(true);
    expect(stores.queues.isReachable()).toBe(true);
    expect(await stores.coordination.fleetState()).toEqual({
      throughput: new Map(),
      pauses: new Map(),
      breakers: new Map(),
      usual: new Map(),
    });
    const heard: unknown[] = [];
    stores.coordination.subscribe((signal) => heard.push(signal));
    stores.coordination.publish({ type: 'work' });
    expect(heard).toEqual([{ type: 'work' }]);
    await stores.close();
  }
});

test('a start alone forgets the permits and pauses of the one before', async () => {
  const options = await optionsOf();
  const before = await openStores(options);
  await before.coordination.pause('provider:openai', 'region', Date.now() + 3_600_000);
  await before.coordination.restore('openai', 'one', [{ token: 'a', target: 'openai/m', place: 'default' }]);
  await before.close();
  const after = await openStores(options);
  expect((await after.coordination.fleetState()).pauses).toEqual(new Map());
  expect(await after.coordination.holdsEpoch('openai', 'one')).toBe(false);
  await after.close();
});

test('a database that does not answer is a problem that names it without the password', async () => {
  // Taken and closed at once: nothing listens there.
  const server = createServer();
  const port = await new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  );
  await new Promise((resolve) => server.close(resolve));
  const options = await optionsOf({ DATABASE_URL: `postgres://waybill:canary@127.0.0.1:${port}/jobs` });
  const opening = openStores(options);
  await expect(opening).rejects.toMatchObject({
    code: 'database_unavailable',
    message: expect.stringContaining(`postgres://127.0.0.1:${port}/jobs`),
  });
  await expect(opening).rejects.not.toMatchObject({ message: expect.stringContaining('canary') });
});

test.for<[string, NodeJS.ProcessEnv, string]>([
  ['embedded', {}, 'embedded database in /data'],
  ['PostgreSQL', { DATABASE_URL: 'postgres://u:canary@db:5433/w?sslmode=require' }, 'postgres://db:5433/w'],
  [
    'PostgreSQL and Redis',
    { DATABASE_URL: 'postgres://u:canary@db/w', REDIS_URL: 'redis://:canary@r/1' },
    'postgres://db/w and redis://r:6379/1',
  ],
])('%s is described without secrets', ([, env, text]) => {
  expect(describeStores(environmentOf(env), '/data')).toBe(text);
});

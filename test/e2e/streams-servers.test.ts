/** Streamed jobs where the API and each worker are processes of their own: on PostgreSQL with Redis, and alone. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@waybill/producer/client/client.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEventStream, textOfEvents } from '../support/event-stream.ts';
import { type PostgresServer, startPostgresServer } from '../support/postgres-server.ts';
import { startRedisServer } from '../support/redis-server.ts';
import { cut, type Step, type StreamingProvider, startStreamingProvider } from '../support/streaming-provider.ts';
import { type PartProcess, startPart } from '../support/waybill-process.ts';

const adminKey = 'canary-admin-key-0123456789';
const scripts = new Map<string, Record<'a' | 'b', readonly Step[]>>();
let postgres: PostgresServer;
let providers: Record<'a' | 'b', StreamingProvider>;
let directory: string;

beforeAll(async () => {
  const play = (id: 'a' | 'b') => (prompt: string) => scripts.get(prompt)?.[id] ?? [];
  providers = { a: await startStreamingProvider(play('a')), b: await startStreamingProvider(play('b')) };
  postgres = await startPostgresServer();
  directory = await mkdtemp(join(tmpdir(), 'waybill-streams-'));
  const chain = { targets: ['a/one', 'b/two'], same_target_retries: 0, mode: 'immediate' };
  const config = {
    providers: {
      a: { preset: 'openai', base_url: providers.a.url, api_key: 'test' },
      b: { preset: 'openai', base_url: providers.b.url, api_key: 'test' },
    },
    chains: { default: chain, continuing: { ...chain, resume: 'continue' } },
  };
  await writeFile(join(directory, 'waybill.yaml'), JSON.stringify(config));
}, 120_000);
afterAll(async () => {
  await Promise.all(Object.values(providers ?? {}).map((provider) => provider.stop()));
  await postgres?.stop();
  await rm(directory, { recursive: true, force: true });
});

describe.each([{ redis: false }, { redis: true }])('with Redis: $redis', ({ redis }) => {
  const stops: (() => Promise<unknown>)[] = [];
  let api: PartProcess;

  beforeAll(async () => {
    const environment: NodeJS.ProcessEnv = {
      DATABASE_URL: await postgres.createDatabase(),
      WAYBILL_MASTER_KEY: Buffer.from('canary-master-key-of-32-bytes-ok').toString('base64'),
      WAYBILL_ADMIN_KEY: adminKey,
      WAYBILL_CONFIG: join(directory, 'waybill.yaml'),
      LOG_LEVEL: 'debug',
    };
    if (redis) {
      const server = await startRedisServer({ appendfsync: 'everysec' });
      stops.push(() => server.stop());
      environment.REDIS_URL = server.url;
    }
    const parts = await Promise.all(
      [['api'], ['worker', '--providers', 'a'], ['worker', '--providers', 'b']].map((args) =>
        startPart(args, environment),
      ),
    );
    stops.push(() => Promise.all(parts.map((part) => part.stop())));
    [api] = parts as [PartProcess];
  }, 120_000);
  afterAll(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  }, 60_000);

  test.for([
    ['default', 'restarted', ['One, two'], ['Three, four'], 'Three, four'],
    ['continuing', 'resumed', ['One, two'], [', three', ', four'], 'One, two, three, four'],
  ] as const)(
    'the model %s: another worker goes on, %s',
    { timeout: 60_000 },
    async ([model, how, before, after, whole]) => {
      const prompt = `${model} ${redis}`;
      const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      scripts.set(prompt, { a: [...before, first.promise, cut], b: [after[0], second.promise, ...after.slice(1)] });
      const client = createClient({ url: api.url, apiKey: adminKey });
      const body = { model, stream: true, messages: [{ role: 'user', content: prompt }] };
      const { id } = await client.submit({ body });
      const stream = await openEventStream(`${api.url}/v1/jobs/${id}/stream`, { apiKey: adminKey });
      // Each piece is told before the provider says the next one.
      await stream.until(({ data }) => data.text === before[0]);
      first.resolve();
      await stream.until(({ event }) => event === how);
      const last = await stream.until(({ data }) => data.text === after[0]);
      stream.close();
      const again = await openEventStream(`${api.url}/v1/jobs/${id}/stream`, {
        apiKey: adminKey,
        lastEventId: last.id ?? '',
      });
      second.resolve();
      const events = [...stream.events, ...(await again.toEnd())];
      expect(events.map(({ event }) => event)).not.toContain('gap');
      expect(events.at(-1)).toMatchObject({ event: 'done', data: { status: 'succeeded' } });
      expect(textOfEvents(events)).toBe(whole);
      expect((await client.get(id)).output_text).toBe(whole);
    },
  );
});

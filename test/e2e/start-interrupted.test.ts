/** A signal that comes while a part of Waybill still starts. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PostgresServer, startPostgresServer } from '../support/postgres-server.ts';
import { eventually } from '../support/waybill.ts';
import { type RunningCli, startCli } from '../support/waybill-process.ts';

const servers: Server[] = [];
const sockets = new Set<Socket>();
let postgres: PostgresServer;

beforeAll(async () => {
  postgres = await startPostgresServer();
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  await postgres?.stop();
});

async function listenOn(onConnection: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return String((server.address() as { port: number }).port);
}

/** Says "signed in" and "ready", and answers no query: that is waited for as long as a migration may take. */
async function silentDatabase(): Promise<{ url: string; queries: () => number }> {
  const signedIn = [0x52, 0, 0, 0, 8, 0, 0, 0, 0];
  const ready = [0x5a, 0, 0, 0, 5, 0x49];
  let queries = 0;
  const port = await listenOn((socket) => {
    socket.once('data', () => {
      socket.write(Buffer.from([...signedIn, ...ready]));
      socket.on('data', () => {
        queries += 1;
      });
    });
  });
  return { url: `postgres://waybill:canary-password@127.0.0.1:${port}/jobs`, queries: () => queries };
}

/** A real one behind a door, which takes connections and lets nothing through until it is opened. */
async function heldDatabase(): Promise<{ url: string; knocks: () => number; open: () => void }> {
  const url = new URL(await postgres.createDatabase());
  const door = Promise.withResolvers<void>();
  let knocks = 0;
  const { hostname, port } = url;
  url.port = await listenOn(async (socket) => {
    knocks += 1;
    await door.promise;
    const real = connect(Number(port), hostname);
    sockets.add(real);
    real.on('error', () => socket.destroy());
    socket.pipe(real).pipe(socket);
  });
  url.hostname = '127.0.0.1';
  return { url: url.href, knocks: () => knocks, open: door.resolve };
}

const startWorker = (databaseUrl: string): RunningCli =>
  startCli(['worker', '--json'], {
    environment: {
      DATABASE_URL: databaseUrl,
      WAYBILL_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
      LOG_LEVEL: 'warn',
    },
  });

const atLeastOne = (count: number) => count > 0;

// They wait for the ten seconds that a start has left: beside each other.
test.concurrent.for([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('%s during a start that hangs says so, and ends it with %i', async ([signal, code]) => {
  const database = await silentDatabase();
  const worker = startWorker(database.url);
  await eventually(database.queries, atLeastOne);
  worker.child.kill(signal);
  expect(await worker.ended).toEqual({ code, signal: null });
  expect(worker.stdout()).toBe('');
  expect(worker.stderr()).toBe(
    `${signal} during the start: waiting up to 10 s for its end, then stopping; a second one stops at once.\n` +
      `Ending: the start did not end within 10 s of ${signal}.\n`,
  );
});

test.concurrent('a second signal during the start ends it at once', async () => {
  const database = await silentDatabase();
  const worker = startWorker(database.url);
  await eventually(database.queries, atLeastOne);
  worker.child.kill('SIGTERM');
  await eventually(worker.stderr, (said) => said.includes('waiting up to'));
  worker.child.kill('SIGTERM');
  expect(await worker.ended).toEqual({ code: 143, signal: null });
  expect(worker.stderr()).not.toContain('Ending');
});

test.concurrent('a start that ends after the signal is stopped in good order, and never says that it is ready', async () => {
  const database = await heldDatabase();
  const worker = startWorker(database.url);
  await eventually(database.knocks, atLeastOne);
  worker.child.kill('SIGTERM');
  await eventually(worker.stderr, (said) => said.includes('SIGTERM during the start'));
  database.open();
  expect(await worker.ended).toEqual({ code: 0, signal: null });
  expect(worker.stdout()).toBe('');
});

/**
 * A free port for a server that must keep it over restarts.
 *
 * Not one that the system chooses: those are also given to outgoing connections, and while the server is down a client
 * that keeps trying can be given the very port it connects to, hold it, and talk to itself. Linux gives out ports from
 * 32768, macOS from 49152. A Redis Cluster node also listens 10000 higher, which then is below 32768 too.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

const first = 10_240;
const last = 22_700;
const attempts = 200;

/** @param offsets what else must be free, above the port: a cluster node asks for `[10_000]` */
export async function findFreePort(offsets: readonly number[] = []): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = randomInt(first, last);
    const free = await Promise.all([0, ...offsets].map((offset) => isFree(port + offset)));
    if (free.every(Boolean)) return port;
  }
  throw new Error(`No free port after ${attempts} attempts between ${first} and ${last}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/**
 * Whether a Docker engine answers, found out before Testcontainers is loaded: where there is none, Testcontainers takes
 * a second and more to say so, and many machines have only the client.
 */
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';

const timeLimitMs = 2_000;

/** Rejects, with the reason, where Testcontainers would find no engine. Looks where Testcontainers looks. */
export async function checkDockerEngine(): Promise<void> {
  const host = process.env.DOCKER_HOST;
  if (host !== undefined && host !== '' && !host.startsWith('unix://')) {
    return ask(host, (signal) => reach(new URL(host), signal));
  }
  const sockets = host ? [new URL(host).pathname] : usualSockets();
  const socketPath = sockets.find((path) => existsSync(path));
  if (socketPath === undefined) throw new Error(`no Docker engine: none of ${sockets.join(', ')} exists`);
  return ask(socketPath, (signal) => ping(socketPath, signal));
}

function usualSockets(): string[] {
  const runtime = process.env.XDG_RUNTIME_DIR;
  return [
    '/var/run/docker.sock',
    ...(runtime ? [join(runtime, 'docker.sock')] : []),
    join(homedir(), '.docker', 'run', 'docker.sock'),
    join(homedir(), '.docker', 'desktop', 'docker.sock'),
    `/run/user/${userInfo().uid}/docker.sock`,
  ];
}

async function ask(where: string, answer: (signal: AbortSignal) => Promise<void>): Promise<void> {
  try {
    await answer(AbortSignal.timeout(timeLimitMs));
  } catch (error) {
    throw new Error(`no Docker engine answers at ${where}`, { cause: error });
  }
}

function ping(socketPath: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/_ping', signal, agent: false }, (response) => {
      response.destroy();
      if (response.statusCode === 200) resolve();
      else reject(new Error(`/_ping answered ${response.statusCode}`));
    });
    asked.once('error', reject);
    asked.end();
  });
}

/** Only that the port is open: what it speaks may be TLS with the client's certificate, which Testcontainers knows. */
function reach(url: URL, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: url.hostname, port: Number(url.port || 2375) });
    signal.addEventListener('abort', () => socket.destroy(signal.reason as Error));
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}

/** One Redis process of our own: plain, with TLS, a node of a cluster, a replica or a sentinel. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { findOnPath } from './find-binary.ts';
import { findOrInstall } from './install-package.ts';
import { type LocalServer, startLocalServer } from './local-server.ts';
import { createServerFolder } from './server-folder.ts';

/** The sources whose server is a child process. */
export const localRedisSources = ['path', 'install'] as const;
export type LocalRedisSource = (typeof localRedisSources)[number];

export interface RedisProgram {
  /** `redis-server`, with its folder. */
  readonly program: string;
  /** `redis-server on PATH` */
  readonly label: string;
}

export interface RedisProcessOptions {
  readonly program: string;
  /** Beside the address, the folder and what `args` says. */
  readonly args: readonly string[];
  readonly tls?: boolean;
  /** The node of a cluster: it listens on a second port. */
  readonly cluster?: boolean;
  /** Writes the configuration file that the process keeps up to date itself, and returns its arguments. */
  readonly configure?: (directory: string) => Promise<readonly string[]>;
}

export interface RedisProcess extends LocalServer {
  readonly caFile: string | null;
}

const host = '127.0.0.1';
const clusterBusOffset = 10_000;

const findProgram = (): string | undefined => findOnPath('redis-server') ?? findOnPath('valkey-server');

export async function locateRedis(source: LocalRedisSource): Promise<RedisProgram> {
  if (source === 'path') {
    const program = findProgram();
    if (program === undefined) throw new Error('neither `redis-server` nor `valkey-server` is on PATH');
    return { program, label: `${basename(program)} on PATH` };
  }
  const program = await findOrInstall({ 'apt-get': 'redis-server', apk: 'redis', dnf: 'redis' }, findProgram);
  return { program, label: `${basename(program)} installed for the tests` };
}

export async function startRedisProcess(options: RedisProcessOptions): Promise<RedisProcess> {
  const { program, tls = false, cluster = false } = options;
  const folder = await createServerFolder('waybill-redis-', 'KILL');
  const directory = join(folder.path, 'data');
  const certificate = { cert: join(folder.path, 'cert.pem'), key: join(folder.path, 'key.pem') };
  const tlsArgs = ['--tls-cert-file', certificate.cert, '--tls-key-file', certificate.key];
  tlsArgs.push('--tls-ca-cert-file', certificate.cert, '--tls-auth-clients', 'no');
  let first: readonly string[] = [];
  const server = startLocalServer({
    name: basename(program),
    folder,
    dataDirectory: directory,
    portOffsets: cluster ? [clusterBusOffset] : [],
    async prepare() {
      await mkdir(directory);
      if (tls) await createCertificate(certificate);
      first = (await options.configure?.(directory)) ?? [];
    },
    command(port) {
      const ports = tls ? ['--port', '0', '--tls-port', String(port), ...tlsArgs] : ['--port', String(port)];
      const args = [...first, '--bind', host, '--dir', directory, ...ports, ...options.args];
      return { program, args, options: { cwd: directory } };
    },
    probe: (port, pid) =>
      // Who the process is, the number says; so its certificate need not be checked here.
      askRedis({ port, ...(tls ? { tls: { rejectUnauthorized: false } } : {}) }, async (redis) =>
        readVersion(await redis.info(), pid),
      ),
  });
  try {
    return { ...(await server), caFile: tls ? certificate.cert : null };
  } catch (error) {
    if (/tls-port[\s\S]*Bad directive/.test(String(error))) throw new Error(`${program} was built without TLS`);
    throw error;
  }
}

async function createCertificate({ cert, key }: { cert: string; key: string }): Promise<void> {
  const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=IP:${host},DNS:localhost`];
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2'];
  try {
    await promisify(execFile)('openssl', [...args, ...subject], { timeout: 30_000 });
  } catch (error) {
    throw new Error(`Cannot make a certificate with openssl: ${String(error)}`, { cause: error });
  }
}

/** @throws while the server is not ready, or is not the process with this number */
function readVersion(info: string, pid: number): string {
  if (readInfo(info, 'process_id') !== String(pid)) throw new Error('another server has the port');
  if (readInfo(info, 'loading') === '1') throw new Error('it still loads its data');
  return redisVersion(info);
}

/** One field of what INFO answers. */
export const readInfo = (info: string, field: string): string | undefined =>
  new RegExp(`^${field}:(.*?)\\r?$`, 'm').exec(info)?.[1];

export const redisVersion = (info: string): string =>
  readInfo(info, 'valkey_version') ?? readInfo(info, 'redis_version') ?? 'unknown version';

/** Asks on a connection of its own, which does not try again. */
export async function askRedis<Answer>(
  address: string | { readonly port: number; readonly tls?: ConnectionOptions },
  question: (redis: Redis) => Promise<Answer>,
): Promise<Answer> {
  const options = {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    connectTimeout: 5_000,
    commandTimeout: 5_000,
  };
  const redis = typeof address === 'string' ? new Redis(address, options) : new Redis({ host, ...address, ...options });
  // Without a listener each failure is printed; the question rejects anyway.
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

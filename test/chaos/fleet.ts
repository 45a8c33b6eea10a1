/** The processes of Waybill in one run: started as users start them, and hurt as machines hurt them. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, createClient } from '@waybill/producer/client/client.ts';
import { bareEnvironment } from '../support/bare-environment.ts';
import type { ServerFolder } from '../support/server-folder.ts';
import { findFreePort } from '../support/server-port.ts';
import { type Member, startMember } from './processes.ts';

const cliPath = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));
const drainSeconds = 5;
/** The drain, and what a process needs beside it on a busy machine. */
const stopLimitMs = drainSeconds * 1_000 + 25_000;

export interface FleetOptions {
  readonly folder: ServerFolder;
  /** As the configuration file holds it; JSON is YAML. */
  readonly config: unknown;
  /** DATABASE_URL and REDIS_URL; without them `up` runs on a data directory. */
  readonly stores: NodeJS.ProcessEnv;
  /** Put before the command, to run it elsewhere: `nsenter ...`. */
  readonly prefix?: readonly string[];
}

export interface Fleet {
  readonly url: string;
  readonly client: Client;
  readonly adminKey: string;
  readonly dataDirectory: string;
  /** One that was started before is gone: the port is the same. */
  startApi(): Promise<Member>;
  startWorker(): Promise<Member>;
  /** API and workers in one process. */
  startUp(): Promise<Member>;
  /** Running or frozen, in the order they were started. */
  workers(): Member[];
  api(): Member;
  everyone(): readonly Member[];
  /** Of all of them so far, each with the name of its process. */
  logLines(): { readonly name: string; readonly line: string }[];
  /** SIGTERM to all; a line for each that did not end well. */
  stop(): Promise<string[]>;
}

export async function createFleet(options: FleetOptions): Promise<Fleet> {
  const { folder, config, stores, prefix = [] } = options;
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const adminKey = randomBytes(24).toString('hex');
  const configFile = join(folder.path, 'waybill.yaml');
  const dataDirectory = join(folder.path, 'data');
  writeFileSync(configFile, JSON.stringify(config));
  const environment = bareEnvironment({
    ...stores,
    WAYBILL_MASTER_KEY: randomBytes(32).toString('base64'),
    WAYBILL_ADMIN_KEY: adminKey,
    WAYBILL_CONFIG: configFile,
    WAYBILL_DATA_DIR: dataDirectory,
    WAYBILL_HOST: '127.0.0.1',
    LOG_LEVEL: 'warn',
  });
  const members: { role: Role; member: Member }[] = [];
  const counts: Record<Role, number> = { api: 0, worker: 0, up: 0 };
  const start = async (role: Role, args: readonly string[]): Promise<Member> => {
    counts[role] += 1;
    const [program = process.execPath, ...more] = [...prefix, process.execPath, cliPath, role, '--json', ...args];
    const member = await startMember(folder, {
      name: `${role}-${counts[role]}`,
      command: [program, ...more],
      environment: role === 'worker' ? environment : { ...environment, WAYBILL_PORT: String(port) },
    });
    members.push({ role, member });
    return member;
  };
  const alive = (roles: readonly Role[]) =>
    members.filter(({ role, member }) => roles.includes(role) && !member.hasEnded()).map(({ member }) => member);
  const drain = ['--drain', `${drainSeconds}s`];
  return {
    url,
    client: createClient({ url, apiKey: adminKey, timeoutMs: 20_000 }),
    adminKey,
    dataDirectory,
    startApi: () => start('api', drain),
    startWorker: () => start('worker', drain),
    startUp: () => start('up', []),
    workers: () => alive(['worker', 'up']),
    api() {
      const [first] = alive(['api', 'up']);
      if (!first) throw new Error('no API runs');
      return first;
    },
    everyone: () => members.map(({ member }) => member),
    logLines: () => members.flatMap(({ member }) => linesOf(member)),
    async stop() {
      const running = alive(['api', 'worker', 'up']);
      const codes = await Promise.all(running.map((member) => member.terminate(stopLimitMs)));
      return running.flatMap((member, i) =>
        codes[i] === 0 ? [] : [`${member.name} ended with ${codes[i] ?? 'SIGKILL, too late'} after SIGTERM`],
      );
    },
  };
}

type Role = 'api' | 'worker' | 'up';

const linesOf = ({ name, logFile }: Member) =>
  readFileSync(logFile, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ name, line }));

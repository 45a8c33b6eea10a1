/**
 * A PostgreSQL server of our own below one temporary folder, which holds its data, its socket and any copied binaries.
 * As root it runs under `nobody`, because PostgreSQL refuses to run as root.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chown, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type LocalServer, type ServerRecipe, startLocalServer } from './local-server.ts';
import type { PostgresBinaries } from './postgres-server-binaries.ts';
import { querySql, shortVersion } from './postgres-server-databases.ts';
import { createServerFolder } from './server-folder.ts';

export interface LocalPostgresOptions {
  /** @param base the server's folder, where binaries may be copied to */
  readonly find: (base: string) => Promise<PostgresBinaries>;
  readonly settings: Readonly<Record<string, string>>;
}

const initdbTimeoutMs = 60_000;

export const localPostgresUrl = (port: number): string => `postgres://postgres@127.0.0.1:${port}/postgres`;

export async function startLocalPostgres({ find, settings }: LocalPostgresOptions): Promise<LocalServer> {
  // SIGQUIT and not SIGKILL: the server then ends its own children and frees its shared memory.
  const folder = await createServerFolder('waybill-postgres-', 'QUIT');
  const data = join(folder.path, 'data');
  const user = unprivilegedUser();
  // The current folder may be closed to the other user; messages in English are what we can recognise.
  const options = { cwd: folder.path, env: { ...process.env, LC_ALL: 'C' }, ...user };
  let binaries: PostgresBinaries | undefined;
  const recipe: ServerRecipe = {
    name: 'postgres',
    folder,
    dataDirectory: data,
    async prepare() {
      if (user !== undefined) await chown(folder.path, user.uid >>> 0, user.gid >>> 0);
      binaries = await find(folder.path);
      const args = ['--username=postgres', '--auth=trust', '--no-sync', '--encoding=UTF8', '--locale=C', '-D', data];
      const limits = { timeout: initdbTimeoutMs, killSignal: 'SIGKILL' } as const;
      await promisify(execFile)(binaries.initdb, args, { ...options, ...limits });
    },
    command(port) {
      const all = {
        listen_addresses: '127.0.0.1',
        unix_socket_directories: folder.path,
        // In the folder, and not in /dev/shm: a killed server cannot take them away.
        dynamic_shared_memory_type: 'mmap',
        ...settings,
      };
      const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
      return { program: binaries?.postgres ?? 'postgres', args: ['-D', data, '-p', String(port), ...flags], options };
    },
    async probe(port) {
      const sql = "select current_setting('server_version'), current_setting('data_directory')";
      const [row] = await querySql(localPostgresUrl(port), sql);
      if (row?.[1] !== data) throw new Error('another server has the port');
      return shortVersion(row[0]);
    },
    // The remains of a killed server: its children's shared memory, or a number that another process has now.
    passes: /pre-existing shared memory block|lock file "postmaster.pid" already exists/,
    // PostgreSQL's fast shutdown: it ends open sessions instead of waiting for them.
    endSignal: 'SIGINT',
    cleanUp: () => removeSharedMemory(data),
  };
  return startLocalServer(recipe);
}

/** Who runs the server: nobody when we are root, ourselves (undefined) otherwise. */
function unprivilegedUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const [, uid = '65534', gid = '65534'] =
    /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(readFileSync('/etc/passwd', 'utf8')) ?? [];
  // On macOS nobody is -2: `spawn` wants it signed, `chown` unsigned.
  return { uid: Number(uid) | 0, gid: Number(gid) | 0 };
}

/**
 * A server that was killed leaves a few bytes of System V shared memory, which its next start would take over. Systems
 * have a few dozen of those, so the last one goes here. The lock file exists only after such an end, and names it.
 */
async function removeSharedMemory(data: string): Promise<void> {
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const [, id] = (lines[6] ?? '').trim().split(/\s+/);
  if (id === undefined) return;
  // Where the program is missing, the bytes stay until the machine restarts.
  await promisify(execFile)('ipcrm', ['-m', id]).catch(() => undefined);
}

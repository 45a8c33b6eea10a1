/**
 * One process per data directory.
 *
 * PGlite takes no lock of its own, and two processes on one folder lose rows without an error. The lock is an
 * exclusive SQLite transaction on a file in the folder: held by the operating system, gone with the process, and
 * never stolen from a holder whose event loop is merely busy.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { Problem } from '../domain/problem.ts';

const patienceMs = 1_000;

/** A connection nobody refers to is collected, and its lock with it: each stays here until it is released. */
const held = new Set<DatabaseSync>();

export interface DirectoryLock {
  release(): void;
}

/** @throws Problem `data_dir_locked` with the holder's pid. */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const holderFile = `${directory}/lock.pid`;
  // Of two that ask at the same moment, each may see the other's first step: with a moment's patience one of them gets
  // the lock. (SQLite's own exclusive mode would keep the first step of both, and refuse both.)
  const file = new DatabaseSync(`${directory}/lock`, { timeout: patienceMs });
  try {
    file.exec('begin exclusive');
  } catch (cause) {
    file.close();
    const pid = await readFile(holderFile, 'utf8').catch(() => 'unknown');
    throw new Problem(
      'data_dir_locked',
      `Cannot open the data directory ${directory}: process ${pid.trim()} holds it. Stop that process, or set WAYBILL_DATA_DIR to another folder`,
      { cause },
    );
  }
  await writeFile(holderFile, `${process.pid}\n`);
  held.add(file);
  return {
    release() {
      held.delete(file);
      file.close();
    },
  };
}

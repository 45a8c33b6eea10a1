/**
 * A prepared database directory, cached between starts.
 *
 * A fresh cluster with all migrations costs 3 to 6 s of CPU; loading a dump of one costs half a second. The cache
 * is keyed by everything that shapes the dump, holds no data of anyone's, and is only ever an optimisation: any
 * fault with it falls back to the slow way.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { PGlite } from '@electric-sql/pglite';

const unpack = promisify(gunzip);
const maxUnpackedBytes = 512 * 1024 * 1024;

export function preparedCacheDirectory(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'waybill');
}

/** Unpacked here, where a damaged file is an error that can be caught; its checksum vouches for what is inside. */
export async function readPrepared(cacheDirectory: string, key: string): Promise<Blob | undefined> {
  try {
    const tar = await unpack(await readFile(fileOf(cacheDirectory, key)), { maxOutputLength: maxUnpackedBytes });
    return new Blob([tar], { type: 'application/x-tar' });
  } catch {
    return undefined; // Not there yet, or not readable: build it.
  }
}

export async function writePrepared(cacheDirectory: string, key: string, pglite: PGlite): Promise<void> {
  try {
    const dump = await pglite.dumpDataDir('gzip');
    await mkdir(cacheDirectory, { recursive: true, mode: 0o700 });
    const partial = `${fileOf(cacheDirectory, key)}.${process.pid}`;
    await writeFile(partial, Buffer.from(await dump.arrayBuffer()), { mode: 0o600 });
    // A reader sees a whole file or none, also when two processes prepare at once.
    await rename(partial, fileOf(cacheDirectory, key));
  } catch {
    return; // A read-only home directory costs time at the next start, nothing else.
  }
}

export async function forgetPrepared(cacheDirectory: string, key: string): Promise<void> {
  await rm(fileOf(cacheDirectory, key), { force: true }).catch(() => undefined);
}

const fileOf = (directory: string, key: string): string => join(directory, `prepared-${key}.tar.gz`);

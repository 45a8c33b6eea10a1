/** What an embedded start keeps beside the database: the master key and the first admin API key, mode 0600. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { createApiKey } from '@waybill/shared/security/api-key.ts';

export const defaultDataDirectory = '.waybill';

/**
 * Reads a secret file, or makes it at the first start. `wx`: of two starts at the same moment, the one that loses the
 * directory must not replace the master key that the other seals with.
 */
function readOrMake(directory: string, name: string, make: () => string): string {
  const path = join(directory, name);
  if (!existsSync(path)) {
    try {
      writeFileSync(path, `${make()}\n`, { mode: 0o600, flag: 'wx' });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    }
  }
  return readFileSync(path, 'utf8').trim();
}

export function readMasterKey(directory: string): Buffer {
  const key = Buffer.from(
    readOrMake(directory, 'master-key', () => randomBytes(32).toString('base64')),
    'base64',
  );
  if (key.length !== 32)
    throw new Problem(
      'invalid_config',
      `Cannot use ${join(directory, 'master-key')}: expected 32 bytes as base64, received ${key.length}. Restore the file from a backup: what it sealed cannot be opened without it`,
    );
  return key;
}

export const readAdminKey = (directory: string): string =>
  readOrMake(directory, 'admin-key', () => createApiKey().text);

/** The admin key of a server on this machine, for the command line; null when there is none. */
export function findAdminKey(directory: string): string | null {
  const path = join(directory, 'admin-key');
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : null;
}

export function makeDataDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
}

/** Where a program of the machine is: on PATH, or where its package keeps it out of PATH. */
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Undefined where no folder of PATH has an executable of this name. */
export function findOnPath(name: string): string | undefined {
  return findInFolders(name, (process.env.PATH ?? '').split(delimiter));
}

export function findInFolders(name: string, folders: readonly string[]): string | undefined {
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * Where the packages of Debian and Alpine put PostgreSQL's server programs, the newest version first. Neither folder
 * is on PATH.
 */
export function packagedPostgresFolders(): string[] {
  const debian = list('/usr/lib/postgresql').map((version) => join('/usr/lib/postgresql', version, 'bin'));
  const alpine = list('/usr/libexec').filter((name) => /^postgresql\d+$/.test(name));
  return [...debian, ...alpine.map((name) => join('/usr/libexec', name))];
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  } catch {
    return [];
  }
}

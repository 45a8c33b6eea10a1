/**
 * Installs a server from the packages of the machine, for a container that starts bare and runs the tests as root.
 *
 * Two test files that miss the same program must not both install it: package managers refuse to run twice. One holds
 * the lock, and the other then finds the program. A failure is remembered for a while, or each test file of a machine
 * without a network would wait for the same refusal.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findOnPath } from './find-binary.ts';

/** The package that holds the server, under the name that each package manager has for it. */
export type PackageNames = Readonly<Record<'apt-get' | 'apk' | 'dnf', string>>;

const timeLimitMs = 300_000;
const rememberFailureMs = 600_000;
const pollMs = 200;

/**
 * Scripts, as `$1` the package. On Debian a package starts its service when it is installed, unless this policy forbids
 * it: that server is not ours and its port may be wanted.
 */
const scripts: Readonly<Record<keyof PackageNames, string>> = {
  'apt-get': `policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ] && [ -d /usr/sbin ]; then
      trap 'rm -f $policy' EXIT
      trap 'exit 1' TERM
      printf '#!/bin/sh\\nexit 101\\n' >$policy && chmod 755 $policy
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "$1" ||
      { apt-get update && apt-get install -y --no-install-recommends "$1"; }`,
  apk: 'apk add --no-cache "$1"',
  dnf: 'dnf install -y "$1"',
};

/** Calls `find` until it finds something, and installs the package in between. */
export async function findOrInstall<Found>(names: PackageNames, find: () => Found | undefined): Promise<Found> {
  const found = find();
  if (found !== undefined) return found;
  if (process.getuid?.() !== 0) throw new Error('only root may install packages');
  const manager = (Object.keys(scripts) as (keyof PackageNames)[]).find((name) => findOnPath(name) !== undefined);
  if (manager === undefined) throw new Error(`none of ${Object.keys(scripts).join(', ')} is on PATH`);
  await using _lock = await takeLock();
  const foundNow = find();
  if (foundNow !== undefined) return foundNow;
  await install(manager, names[manager]);
  const installed = find();
  if (installed === undefined) throw new Error(`${manager} installed ${names[manager]}, but the server is not in it`);
  return installed;
}

async function install(manager: keyof PackageNames, name: string): Promise<void> {
  const failure = join(tmpdir(), `waybill-install-failed-${name}`);
  const age = await stat(failure).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => Number.POSITIVE_INFINITY,
  );
  if (age < rememberFailureMs) throw new Error(`${await readFile(failure, 'utf8')} (remembered in ${failure})`);
  await rm(failure, { force: true });
  // In a group of its own, so that all of it can be ended.
  const child = spawn('/bin/sh', ['-c', scripts[manager], 'sh', name], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-1_000);
    });
  }
  const timer = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGTERM'), timeLimitMs);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  if (code === 0) return;
  const message = `${manager} could not install ${name} (${code ?? `ended after ${timeLimitMs} ms`}): ${output.trim()}`;
  await writeFile(failure, message);
  throw new Error(message);
}

/**
 * A name that only one process can listen on, and that the system frees when the process ends. Linux has such names
 * without a file; a lock file would outlive a killed process.
 */
async function takeLock(): Promise<AsyncDisposable> {
  const deadline = Date.now() + 2 * timeLimitMs;
  while (Date.now() < deadline) {
    const server = createServer((socket) => socket.destroy());
    if (await listens(server)) return { [Symbol.asyncDispose]: async () => void server.close() };
    await sleep(pollMs);
  }
  throw new Error('another process installs packages, and does not end');
}

async function listens(server: Server): Promise<boolean> {
  try {
    server.listen('\0waybill-test-install');
    await once(server, 'listening');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}

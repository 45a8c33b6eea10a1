/**
 * The throwaway folder of a server that a test starts, and the guard that ends the server and removes the folder when
 * the process of the test ends first.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ServerFolder {
  readonly path: string;
  /** Has the guard end this process too. Call it in the same turn that spawned the process. */
  watch(child: ChildProcess): void;
  /** Removes the folder. Every process in it has ended by then. */
  remove(): Promise<void>;
}

/** @param endSignal what the guard sends: one that makes the server end its own children, if it has some */
export async function createServerFolder(prefix: string, endSignal: 'QUIT' | 'KILL'): Promise<ServerFolder> {
  // The server reports its folder without symlinks, and on macOS the temporary folder is behind one.
  const path = await mkdtemp(join(realpathSync(tmpdir()), prefix));
  const tell = startGuard(path, endSignal);
  return {
    path,
    watch(child) {
      if (child.pid === undefined) return;
      tell(`started ${child.pid}`);
      // Before the number can be another process's.
      child.once('exit', () => tell(`ended ${child.pid}`));
    },
    async remove() {
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
      tell('removed');
    },
  };
}

/**
 * An exit handler would miss signals, so a shell waits on a pipe from us. It reads which processes run; the end of the
 * pipe means that we are gone. SIGCONT, because a test may have frozen the server.
 */
function startGuard(path: string, endSignal: string): (line: string) => void {
  const script = `pids=
    while read -r word pid; do
      case $word in
        started) pids="$pids $pid" ;;
        ended) kept=; for each in $pids; do [ "$each" = "$pid" ] || kept="$kept $each"; done; pids=$kept ;;
        removed) exit ;;
      esac
    done
    for pid in $pids; do kill -"$1" "$pid"; kill -CONT "$pid"; done
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      alive=; for pid in $pids; do kill -0 "$pid" && alive=yes; done
      [ -n "$alive" ] || break
      sleep 1
    done
    for pid in $pids; do kill -KILL "$pid"; done
    rm -rf "$0"`;
  // Detached, so that Ctrl-C in the terminal does not reach it.
  const stdio: ['pipe', 'ignore', 'ignore'] = ['pipe', 'ignore', 'ignore'];
  const shell = spawn('/bin/sh', ['-c', script, path, endSignal], { stdio, detached: true, cwd: '/' });
  shell.unref();
  shell.stdin.on('error', () => undefined);
  return (line) => {
    if (line === 'removed') shell.stdin.end('removed\n');
    else if (shell.stdin.writable) shell.stdin.write(`${line}\n`);
  };
}

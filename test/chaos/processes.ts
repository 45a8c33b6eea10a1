/**
 * The processes of one run. A guard outside of this process ends them and removes their folder when this process ends
 * first, whatever ended it, stopped ones included.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { freezeTree, isRunning, thawTree } from '../support/process-tree.ts';
import type { ServerFolder } from '../support/server-folder.ts';

export interface Member {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** The first line it printed. */
  readonly ready: Readonly<Record<string, unknown>>;
  isFrozen(): boolean;
  hasEnded(): boolean;
  /** Exit code or signal; null while it runs. */
  end(): number | NodeJS.Signals | null;
  /** Since when it is being ended by us; null: it is not. */
  endedOnPurposeAt(): number | null;
  /** SIGKILL; resolves once it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code, and kills it when the limit is over (then null). */
  terminate(limitMs: number): Promise<number | null>;
  freeze(): void;
  thaw(): void;
}

export interface MemberOptions {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
  readonly environment: NodeJS.ProcessEnv;
  readonly readyLimitMs?: number;
}

const defaultReadyLimitMs = 60_000;

/** Resolves when it has printed its first line, a JSON object. */
export async function startMember(folder: ServerFolder, options: MemberOptions): Promise<Member> {
  const { name, command, environment, readyLimitMs = defaultReadyLimitMs } = options;
  const logFile = join(folder.path, `${name}.log`);
  const [program, ...args] = command;
  const stderr = openSync(logFile, 'a');
  // In a session of its own: Ctrl-C in the terminal is ours to handle, and a stopped process in our group would have the
  // system hang up on the whole group when the shell that started us ends.
  const child = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', stderr], detached: true });
  folder.watch(child);
  try {
    const ready = await firstLine(child, name, readyLimitMs);
    return member(child, name, logFile, ready);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

function member(child: ChildProcess, name: string, logFile: string, ready: Record<string, unknown>): Member {
  const pid = child.pid ?? 0;
  let frozen = false;
  let endedAt: number | null = null;
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    endedAt ??= Date.now();
    if (hasEnded()) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  return {
    name,
    pid,
    logFile,
    ready,
    isFrozen: () => frozen,
    hasEnded,
    end: () => child.exitCode ?? child.signalCode,
    endedOnPurposeAt: () => endedAt,
    kill: () => end('SIGKILL'),
    async terminate(limitMs) {
      if (frozen) thawTree(pid);
      const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
      await end('SIGTERM').finally(() => clearTimeout(timer));
      return child.exitCode;
    },
    freeze() {
      freezeTree(pid);
      frozen = true;
    },
    thaw() {
      if (!hasEnded() && isRunning(pid)) thawTree(pid);
      frozen = false;
    },
  };
}

function firstLine(child: ChildProcess, name: string, limitMs: number): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${name} was not ready in ${limitMs} ms`)), limitMs);
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end < 0) return;
      clearTimeout(timer);
      try {
        resolve(JSON.parse(text.slice(0, end)) as Record<string, unknown>);
      } catch (error) {
        reject(error);
      }
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`${name} ended with ${code ?? signal} before it was ready`));
    });
  });
}

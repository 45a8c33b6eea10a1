/**
 * A server that runs as a child process of the test, which can hurt it: kill it, stop its clock, start it again on the
 * same port with the same data.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { freezeTree, isRunning, killTree, thawTree } from './process-tree.ts';
import type { ServerFolder } from './server-folder.ts';
import { findFreePort } from './server-port.ts';

export interface ServerControl {
  /** SIGKILL to the server and its children; resolves when all are gone. */
  kill(): Promise<void>;
  /** SIGSTOP to the server and its children: connections stay open, nothing answers. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** Starts a server that was killed: same port, same data. Resolves when it answers. */
  start(): Promise<void>;
  /** Where its data is. */
  readonly directory: string;
}

/** What is particular to one product. */
export interface ServerRecipe {
  readonly name: string;
  readonly folder: ServerFolder;
  /** Below the folder. */
  readonly dataDirectory: string;
  readonly portOffsets?: readonly number[];
  /** Fills the folder, before the first start. */
  prepare?(): Promise<void>;
  command(port: number): {
    readonly program: string;
    readonly args: readonly string[];
    readonly options?: SpawnOptions;
  };
  /** Resolves with the version when the process itself answers; another server may hold the port. */
  probe(port: number, pid: number): Promise<string>;
  /** Whether the last lines of a server that ended tell of something that passes: an earlier one's remains. */
  readonly passes?: RegExp;
  /** For an end in good order. Without it the server is killed: its data is thrown away anyway. */
  readonly endSignal?: NodeJS.Signals;
  /** Removes what the server left outside of its folder. */
  cleanUp?(): Promise<void>;
}

export interface LocalServer {
  readonly port: number;
  readonly version: string;
  readonly control: ServerControl;
  stop(): Promise<void>;
}

interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Settles once the server and all its children are gone: they share the pipes whose end this waits for. */
  readonly closed: Promise<unknown>;
  readonly lastLines: () => string;
}

const readyTimeoutMs = 30_000;
const pollMs = 25;
const stopTimeoutMs = 10_000;
const portAttempts = 5;
const portIsTaken = /Address already in use/;

/** Starts the server on a free port. When that fails, nothing is left of it, its folder included. */
export async function startLocalServer(recipe: ServerRecipe): Promise<LocalServer> {
  try {
    await recipe.prepare?.();
    for (let attempt = 1; ; attempt++) {
      const port = await findFreePort(recipe.portOffsets);
      const running = launch(recipe, port);
      try {
        const version = await waitUntilReady(recipe, port, running);
        return controlled(recipe, port, running, version);
      } catch (error) {
        await kill(running);
        // Another process may take the free port between our finding it and the server's listening on it.
        if (attempt === portAttempts || !portIsTaken.test(running.lastLines())) throw error;
      }
    }
  } catch (error) {
    await recipe.cleanUp?.();
    await recipe.folder.remove();
    throw error;
  }
}

function controlled(recipe: ServerRecipe, port: number, first: Running, version: string): LocalServer {
  let running = first;
  let starting: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;
  const restart = async () => {
    const deadline = Date.now() + readyTimeoutMs;
    for (;;) {
      if (stopping !== undefined) throw new Error(`Cannot start ${recipe.name}: it has been stopped for good`);
      running = launch(recipe, port);
      try {
        await waitUntilReady(recipe, port, running);
        return;
      } catch (error) {
        await kill(running);
        const lines = running.lastLines();
        if (!(portIsTaken.test(lines) || recipe.passes?.test(lines)) || Date.now() > deadline) throw error;
        await sleep(pollMs);
      }
    }
  };
  const end = async () => {
    await shutDown(recipe, running);
    // A start under way either ends with the process just ended, or ends one of its own.
    await starting?.catch(() => undefined);
    await shutDown(recipe, running);
    await recipe.cleanUp?.();
    await recipe.folder.remove();
  };
  const control: ServerControl = {
    directory: recipe.dataDirectory,
    kill: () => kill(running),
    freeze() {
      if (hasEnded(running)) throw new Error(`Cannot freeze ${recipe.name}: it does not run`);
      freezeTree(running.pid);
    },
    thaw: () => thaw(running),
    start() {
      if (starting === undefined && !hasEnded(running)) throw new Error(`Cannot start ${recipe.name}: it runs already`);
      starting ??= restart().finally(() => {
        starting = undefined;
      });
      return starting;
    },
  };
  return {
    port,
    version,
    control,
    stop: () => {
      stopping ??= end();
      return stopping;
    },
  };
}

function launch(recipe: ServerRecipe, port: number): Running {
  const { program, args, options = {} } = recipe.command(port);
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  recipe.folder.watch(child);
  let output = '';
  const keep = (text: string) => {
    output = (output + text).slice(-8_000);
  };
  child.stdout?.setEncoding('utf8').on('data', keep);
  child.stderr?.setEncoding('utf8').on('data', keep);
  const closed = once(child, 'close').catch((error: unknown) => keep(String(error)));
  const lastLines = () => output.trimEnd().split('\n').slice(-15).join('\n');
  return { child, pid: child.pid ?? 0, closed, lastLines };
}

async function waitUntilReady(recipe: ServerRecipe, port: number, running: Running): Promise<string> {
  const deadline = Date.now() + readyTimeoutMs;
  const ended = running.closed.then(() => true);
  let last = '';
  while (Date.now() < deadline) {
    try {
      return await recipe.probe(port, running.pid);
    } catch (error) {
      last = String(error);
    }
    if (await Promise.race([ended, sleep(pollMs, false)])) {
      throw new Error(`${recipe.name} ended at once:\n${running.lastLines()}`);
    }
  }
  throw new Error(
    `${recipe.name} was not ready in ${readyTimeoutMs} ms (${last}); its last lines:\n${running.lastLines()}`,
  );
}

/** A process whose end we saw has a number that may be somebody else's by now. One may also be dead and not yet seen. */
const hasEnded = ({ child, pid }: Running) =>
  pid === 0 || child.exitCode !== null || child.signalCode !== null || !isRunning(pid);

function thaw(running: Running): void {
  if (!hasEnded(running)) thawTree(running.pid);
}

async function kill(running: Running): Promise<void> {
  if (!hasEnded(running)) killTree(running.pid);
  if (!(await closedInTime(running))) throw new Error(`Process ${running.pid} or a child of it does not end`);
}

async function shutDown({ endSignal }: ServerRecipe, running: Running): Promise<void> {
  if (endSignal !== undefined && !hasEnded(running)) {
    running.child.kill(endSignal);
    thaw(running);
    if (await closedInTime(running)) return;
  }
  await kill(running);
}

/** Whether it is gone within the time we give it. */
async function closedInTime({ closed }: Running): Promise<boolean> {
  const tooLate = new AbortController();
  const late = sleep(stopTimeoutMs, false, { signal: tooLate.signal }).catch(() => false);
  return Promise.race([closed.then(() => true), late]).finally(() => tooLate.abort());
}

/** Waybill as users run it: `waybill up`, or its parts, in processes of their own, that a test may kill. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, createClient } from '@waybill/producer/client/client.ts';
import { afterAll } from 'vitest';
import { bareEnvironment } from './bare-environment.ts';

export const cliPath = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));

/** Commands that still run: a test that fails before it stops its own must not leave it behind. */
const running = new Set<ChildProcess>();
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
});

function start(args: readonly string[], options: SpawnOptions): ChildProcess {
  const child = spawn(process.execPath, [cliPath, ...args], options);
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

export interface WaybillProcess {
  readonly url: string;
  readonly adminKey: string;
  readonly client: Client;
  readonly pid: number;
  /** kill -9, and wait until it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  readonly stderr: () => string;
}

/** @param config as the YAML file would hold it; JSON is YAML */
export async function startWaybillProcess(
  directory: string,
  config: unknown,
  environment: NodeJS.ProcessEnv = {},
): Promise<WaybillProcess> {
  const file = join(directory, 'waybill.yaml');
  await writeFile(file, JSON.stringify(config));
  const data = join(directory, 'data');
  const child = start(['up', '--json'], {
    env: bareEnvironment({
      WAYBILL_CONFIG: file,
      WAYBILL_DATA_DIR: data,
      WAYBILL_PORT: '0',
      LOG_LEVEL: 'warn',
      ...environment,
    }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString('utf8');
  });
  const { url } = await firstLine<{ url: string }>(child, () => errors);
  const adminKey = readFileSync(join(data, 'admin-key'), 'utf8').trim();
  return {
    url,
    adminKey,
    client: createClient({ url, apiKey: adminKey }),
    pid: child.pid ?? 0,
    kill: () => end(child, 'SIGKILL').then(() => undefined),
    stop: () => end(child, 'SIGTERM'),
    stderr: () => errors,
  };
}

/** What a part says when it is ready. */
export interface PartReady {
  readonly role: string;
  readonly url: string | null;
  readonly dashboard_url: string | null;
  readonly stores: string;
  readonly providers?: readonly string[];
}

export interface PartProcess {
  readonly ready: PartReady;
  readonly url: string;
  /** SIGTERM, and nothing else. */
  signal(): void;
  /** The exit code, whatever ends it. */
  readonly ended: Promise<number | null>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** Everything it wrote. */
  readonly output: () => string;
}

/** `waybill api`, `worker` or `dashboards` on the servers that the environment names, at any free port. */
export async function startPart(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<PartProcess> {
  const { child, stdout, stderr, ended } = startCli([...args, '--json'], {
    environment: { WAYBILL_PORT: '0', ...environment },
  });
  const ready = await firstLine<PartReady>(child, stderr);
  return {
    ready,
    url: ready.url ?? '',
    signal: () => void child.kill('SIGTERM'),
    ended: ended.then(({ code }) => code),
    stop: () => end(child, 'SIGTERM'),
    output: () => stdout() + stderr(),
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill(signal);
  const [code] = (await exited) as [number | null];
  return code;
}

function firstLine<Ready>(child: ChildProcess, errors: () => string): Promise<Ready> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      const line = text.indexOf('\n');
      if (line >= 0) resolve(JSON.parse(text.slice(0, line)) as Ready);
    });
    child.once('exit', (code) => reject(new Error(`waybill ended with ${code} before it was ready: ${errors()}`)));
  });
}

/** A command that a test watches while it runs: to signal it, to close its output, to feed it without an end. */
export interface RunningCli {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

export function startCli(
  args: readonly string[],
  options: { environment?: NodeJS.ProcessEnv; cwd?: string } = {},
): RunningCli {
  const child = start(args, {
    env: bareEnvironment(options.environment),
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8');
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
  });
  child.stdin?.on('error', () => undefined); // A command may end without reading its input.
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended: once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
    })),
  };
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command to its end. */
export async function runCli(
  args: readonly string[],
  { input, ...options }: { environment?: NodeJS.ProcessEnv; input?: string | Buffer; cwd?: string } = {},
): Promise<CommandResult> {
  const running = startCli(args, options);
  running.child.stdin?.end(input ?? '');
  const { code } = await running.ended;
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}

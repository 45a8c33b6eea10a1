/**
 * Signals to a process and everything it started, none of which may slip away.
 *
 * PostgreSQL puts each of its children into a session of its own, so a signal to the process group reaches none of
 * them. They are looked up instead, and a process that forks while we look is stopped first.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

interface Row {
  readonly pid: number;
  readonly parent: number;
  /** As `ps` has it: `T` is stopped, `Z` is dead and not yet collected by its parent. */
  readonly state: string;
}

const rounds = 1_000;

/** SIGSTOP to all of them; returns when each has stopped, so that nothing they do can follow. */
export function freezeTree(root: number): void {
  for (let round = 0; round < rounds; round++) {
    const moving = listTree(root).filter(({ state }) => !/^[TtZX]/.test(state));
    if (moving.length === 0) return;
    for (const { pid } of moving) send(pid, 'SIGSTOP');
  }
  throw new Error(`Cannot stop process ${root}: it or a child of it still runs after ${rounds} signals`);
}

/** Children first: the parent would take note of a child that runs late. */
export function thawTree(root: number): void {
  for (const { pid } of listTree(root).reverse()) send(pid, 'SIGCONT');
}

/** SIGKILL to all of them. Stopped first, or a fork between the look and the signal would survive. */
export function killTree(root: number): void {
  freezeTree(root);
  for (const { pid } of listTree(root).reverse()) send(pid, 'SIGKILL');
}

/** False also for a process that is dead and that nobody has collected: orphans may stay so for a while. */
export function isRunning(pid: number): boolean {
  return readProcesses().some((row) => row.pid === pid && !/^[ZX]/.test(row.state));
}

/** The process, then its children, then theirs. */
function listTree(root: number): Row[] {
  const table = readProcesses();
  const tree = table.filter(({ pid }) => pid === root);
  for (const { pid } of tree) tree.push(...table.filter(({ parent }) => parent === pid));
  return tree;
}

function readProcesses(): Row[] {
  if (process.platform === 'linux') return readdirSync('/proc').filter(isNumber).flatMap(readProcess);
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,state='], { encoding: 'utf8' });
  return stdout.split('\n').flatMap((line) => {
    const [pid, parent, state] = line.trim().split(/\s+/);
    return state === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), state }];
  });
}

const isNumber = (name: string): boolean => /^\d+$/.test(name);

/** Not with `ps`: slim container images lack it. */
function readProcess(pid: string): Row[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before it is in parentheses and may hold spaces and parentheses itself.
    const [state = '', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return [{ pid: Number(pid), parent: Number(parent), state }];
  } catch {
    return []; // It ended while we read.
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

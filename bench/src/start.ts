/** What a start costs: an empty Node process, a first start, and a second one, in turn, as CPU until ready. */
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { figuresOf, show } from './statistics.ts';

const cli = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));
const report = new URL('./report-cpu.ts', import.meta.url).href;
const empty = fileURLToPath(new URL('./empty.ts', import.meta.url));

/** CPU milliseconds until the first line on standard output. */
function cpuUntilReady(script: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = fork(script, args, {
    execArgv: ['--import', report],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, ...env },
  });
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', () => child.send('cpu'));
    child.once('message', (cpuMs) => {
      child.once('exit', () => resolve(Number(cpuMs)));
      child.kill('SIGTERM');
    });
    child.once('error', reject);
  });
}

export async function benchStart(rounds: number): Promise<string[]> {
  const bare: number[] = [];
  const unprepared: number[] = [];
  const first: number[] = [];
  const second: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const directory = await mkdtemp(join(tmpdir(), 'waybill-bench-'));
    const env = {
      WAYBILL_DATA_DIR: join(directory, 'a'),
      XDG_CACHE_HOME: join(directory, 'cache'),
      WAYBILL_PORT: '0',
      LOG_LEVEL: 'silent',
    };
    bare.push(await cpuUntilReady(empty, [], {}));
    unprepared.push(await cpuUntilReady(cli, ['up', '--json'], env));
    first.push(await cpuUntilReady(cli, ['up', '--json'], { ...env, WAYBILL_DATA_DIR: join(directory, 'b') }));
    second.push(await cpuUntilReady(cli, ['up', '--json'], env));
    await rm(directory, { recursive: true, force: true });
  }
  const base = figuresOf(bare).median;
  const line = (name: string, values: readonly number[]) =>
    `${show(name, 'ms CPU', figuresOf(values))}   ${(figuresOf(values).median / base).toFixed(1)}x an empty process`;
  return [
    line('empty Node process', bare),
    line('first start, nothing prepared', unprepared),
    line('first start, prepared directory', first),
    line('second start', second),
  ];
}

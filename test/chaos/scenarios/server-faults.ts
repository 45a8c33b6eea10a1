/** Redis and PostgreSQL killed, stopped, emptied and filled, while the API is asked all the time. */
import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerControl } from '../../support/local-server.ts';
import { askRedis } from '../../support/redis-server-local.ts';
import type { Arena } from '../arena.ts';
import { answering } from '../behaviour.ts';
import type { ProbeResult } from '../load.ts';
import { type Scenario, scaled } from '../scenario.ts';

/** An API that needs longer than this for any answer hangs. */
const answerLimitMs = 15_000;
const downMs = 4_000;
const redisStopMs = 30_000;
const postgresStopMs = 20_000;
const fullMs = 20_000;
/** Long enough that calls are under way when a fault comes. */
const latency = answering(300, 1_500);

type ServerName = 'redis' | 'postgres';

const controlOf = (arena: Arena, name: ServerName): ServerControl => {
  const server = arena[name];
  if (!server) throw new Error(`this run has no ${name}`);
  return server.control;
};

/** Puts the load on, applies one fault in the middle of it, and judges what the API said meanwhile. */
async function underLoad(arena: Arena, fault: () => Promise<void>, judge: (probe: ProbeResult) => void): Promise<void> {
  const { provider, load, jobs, signal } = arena;
  await provider.behave('a', latency);
  await provider.behave('b', latency);
  await load.submit(jobs);
  await sleep(2_000, undefined, { signal });
  const probe = load.probe();
  try {
    await fault();
  } finally {
    const result = await probe.stop();
    arena.remarks.push(`the API meanwhile: ${JSON.stringify(result.answers)}, slowest ${result.slowestMs} ms`);
    if (result.slowestMs > answerLimitMs) arena.complaints.push(`the API took ${result.slowestMs} ms to answer`);
    judge(result);
  }
}

/** Redis is no part of a submit: the job row is enough. */
const mustStayOpen = (arena: Arena) => (probe: ProbeResult) => {
  const others = Object.keys(probe.answers).filter((answer) => answer !== 'GET 200' && answer !== 'POST 202');
  if (others.length > 0) arena.complaints.push(`without Redis the API answered ${JSON.stringify(probe.answers)}`);
};

/** Without its database it can only say so. */
const mustAnswer = (arena: Arena) => (probe: ProbeResult) => {
  const wrong = Object.keys(probe.answers).filter((answer) => !/^(GET (200|503)|POST (202|503))$/.test(answer));
  if (wrong.length > 0) arena.complaints.push(`without PostgreSQL the API answered ${JSON.stringify(probe.answers)}`);
};

const killAndStart = (arena: Arena, name: ServerName, between: () => void = () => undefined): Promise<void> =>
  arena.history.during('SIGKILL', name, async () => {
    await controlOf(arena, name).kill();
    between();
    await sleep(downMs, undefined, { signal: arena.signal });
    await controlOf(arena, name).start();
  });

const freezeFor = (arena: Arena, name: ServerName, ms: number): Promise<void> =>
  arena.history.during('SIGSTOP', name, async () => {
    const control = controlOf(arena, name);
    control.freeze();
    try {
      await sleep(ms, undefined, { signal: arena.signal });
    } finally {
      control.thaw();
    }
  });

/** Repeats with pauses, so that the work goes on in between. */
async function rounds(arena: Arena, count: number, fault: () => Promise<void>): Promise<void> {
  for (let round = 0; round < count; round += 1) {
    if (round > 0) await sleep(arena.dice.between(3_000, 6_000), undefined, { signal: arena.signal });
    await fault();
  }
}

const base = { jobs: 800, shortJobs: 120, settleLimitS: 150 } as const;
const onRedis = { ...base, stores: ['redis'] } as const;
const onBoth = { ...base, stores: ['redis', 'postgres'] } as const;

const redisKill: Scenario = {
  ...onRedis,
  name: 'redis-kill',
  about: 'kill -9 of Redis and a start with the same files, three times',
  run: async (arena) => {
    const times = scaled(arena, 3, 1);
    await underLoad(arena, () => rounds(arena, times, () => killAndStart(arena, 'redis')), mustStayOpen(arena));
    return {};
  },
};

const redisFlush: Scenario = {
  ...onRedis,
  name: 'redis-flushall',
  about: 'FLUSHALL in the middle of the work, three times',
  run: async (arena) => {
    const flush = () =>
      arena.history.during('FLUSHALL', 'redis', async () => {
        await askRedis(arena.redis?.url ?? '', (redis) => redis.flushall());
      });
    await underLoad(arena, () => rounds(arena, scaled(arena, 3, 1), flush), mustStayOpen(arena));
    return {};
  },
};

const redisStop: Scenario = {
  ...onRedis,
  name: 'redis-stop',
  about: 'SIGSTOP of Redis for 30 s: connections stay open, nothing answers',
  run: async (arena) => {
    const ms = scaled(arena, redisStopMs, 12_000);
    await underLoad(arena, () => freezeFor(arena, 'redis', ms), mustStayOpen(arena));
    return {};
  },
};

/** Lines that all processes together may write in a second of it. */
const linesPerSecond = 10;

const redisFull: Scenario = {
  ...onRedis,
  name: 'redis-full',
  about: 'Redis out of memory for 20 s (maxmemory below use)',
  async run(arena) {
    const { redis, fleet, complaints, remarks, signal } = arena;
    const configure = (maxmemory: string) =>
      askRedis(redis?.url ?? '', (each) => each.config('SET', 'maxmemory', maxmemory));
    const before = fleet.logLines().length;
    const full = () =>
      arena.history.during('out of memory', 'redis', async () => {
        await configure('1mb');
        await sleep(fullMs, undefined, { signal });
        await configure('0');
      });
    await underLoad(arena, full, mustStayOpen(arena));
    const written = fleet.logLines().length - before;
    remarks.push(`${written} log lines in ${fullMs / 1_000} s without memory`);
    if (written > (fullMs / 1_000) * linesPerSecond) complaints.push(`${written} log lines while Redis was full`);
    return {};
  },
};

/** What a power loss takes: the end of the last file that was being appended to. */
function cutTail(directory: string, bytes: number): string {
  const folder = join(directory, 'appendonlydir');
  const [file] = readdirSync(folder).filter((name) => name.endsWith('.incr.aof'));
  if (file === undefined) throw new Error(`no incremental file in ${folder}`);
  const path = join(folder, file);
  const { size } = statSync(path);
  truncateSync(path, Math.max(0, size - bytes));
  return `cut ${Math.min(bytes, size)} of ${size} bytes`;
}

const redisTail: Scenario = {
  ...onRedis,
  name: 'redis-aof-tail',
  about: 'kill -9 of Redis, the end of its append-only file cut off, and a start',
  run: async (arena) => {
    const cut = () => {
      const bytes = arena.dice.between(20_000, 200_000);
      arena.remarks.push(cutTail(controlOf(arena, 'redis').directory, bytes));
    };
    await underLoad(arena, () => killAndStart(arena, 'redis', cut), mustStayOpen(arena));
    return {};
  },
};

const postgresKill: Scenario = {
  ...onBoth,
  name: 'postgres-kill',
  about: 'kill -9 of PostgreSQL with all its processes and a start with the same files, three times',
  run: async (arena) => {
    const times = scaled(arena, 3, 1);
    await underLoad(arena, () => rounds(arena, times, () => killAndStart(arena, 'postgres')), mustAnswer(arena));
    return {};
  },
};

const postgresStop: Scenario = {
  ...onBoth,
  name: 'postgres-stop',
  about: 'SIGSTOP of PostgreSQL with all its processes for 20 s',
  run: async (arena) => {
    const ms = scaled(arena, postgresStopMs, 12_000);
    await underLoad(arena, () => freezeFor(arena, 'postgres', ms), mustAnswer(arena));
    return {};
  },
};

export const serverFaults: readonly Scenario[] = [
  redisKill,
  redisFlush,
  redisStop,
  redisFull,
  redisTail,
  postgresKill,
  postgresStop,
];

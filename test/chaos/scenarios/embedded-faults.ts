/** One process with everything in it: killed again and again, and on a disk that is full. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bareEnvironment } from '../../support/bare-environment.ts';
import type { ServerFolder } from '../../support/server-folder.ts';
import type { Arena, Surroundings } from '../arena.ts';
import { answering } from '../behaviour.ts';
import { fingerprint, planFaults, playFaults } from '../nemesis.ts';
import { startMember } from '../processes.ts';
import { type Scenario, scaled } from '../scenario.ts';

async function killUp({ history, fleet }: Arena): Promise<void> {
  const member = fleet.api();
  const fault = history.begin('up SIGKILL', member.name, member.pid);
  await member.kill();
  await fleet.startUp();
  history.end(fault);
}

const upKill: Scenario = {
  name: 'up-kill',
  about: 'kill -9 of the embedded process, again and again, during submits and calls',
  stores: ['embedded'],
  jobs: 600,
  shortJobs: 150,
  settleLimitS: 120,
  async run(arena) {
    const { provider, load, seed, jobs, signal, tell } = arena;
    await provider.behave('a', answering(100, 600));
    const plan = planFaults(seed, { kinds: ['kill'], count: scaled(arena, 12, 3), gapMs: [300, 3_000] });
    tell(`${plan.length} kills, plan ${fingerprint(plan)}`);
    const loading = load.submit(jobs, { slice: 25, paceMs: 300, repeatShare: 0.2 });
    await playFaults(plan, { kill: () => killUp(arena) }, { signal });
    await loading;
    return {};
  },
};

const diskMb = 400;
const fullMs = 15_000;
const chunk = Buffer.alloc(1_024 * 1_024, 1);

/**
 * A small disk in a mount namespace of its own, which goes away with the process that holds it: nothing stays mounted,
 * however the run ends. From outside, the way in is through that process.
 */
async function smallDisk(folder: ServerFolder): Promise<Surroundings> {
  const data = join(folder.path, 'data');
  mkdirSync(data);
  const script = `mount -t tmpfs -o size=${diskMb}m,mode=700 tmpfs "$0" && echo '{}' && exec sleep 86400`;
  const holder = await startMember(folder, {
    name: 'disk',
    command: ['unshare', '--mount', 'sh', '-c', script, data],
    environment: bareEnvironment(),
  });
  const inside = `/proc/${holder.pid}/root${data}`;
  return {
    prefix: ['nsenter', '--mount', '--target', String(holder.pid)],
    inside,
    afterStop: () => cp(inside, data, { recursive: true }),
    close: () => holder.kill(),
  };
}

/** To the last byte. @returns the file to remove */
function fill(directory: string): string {
  const path = join(directory, 'ballast');
  const file = openSync(path, 'w');
  for (let size = chunk.length; size > 0; ) {
    try {
      writeSync(file, chunk, 0, size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      size = Math.floor(size / 2);
    }
  }
  closeSync(file);
  return path;
}

function whyNoSmallDisk(): string | null {
  if (process.platform !== 'linux') return 'it needs the mount namespaces of Linux';
  if (process.getuid?.() !== 0) return 'only root may mount';
  const probe = spawnSync('unshare', ['--mount', 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /mnt'], {
    encoding: 'utf8',
  });
  return probe.status === 0 ? null : `mounting fails: ${probe.error?.message ?? probe.stderr.trim()}`;
}

const diskFull: Scenario = {
  name: 'disk-full',
  about: 'the disk of the embedded store is full for 15 s: 503 meanwhile, and no restart needed after it',
  stores: ['embedded'],
  jobs: 300,
  shortJobs: 100,
  settleLimitS: 120,
  skip: whyNoSmallDisk,
  arena: { surround: smallDisk },
  async run(arena) {
    const { provider, load, history, jobs, signal, complaints, remarks, inside } = arena;
    await provider.behave('a', answering(200, 1_000));
    await load.submit(jobs);
    const probe = load.probe();
    await history.during('disk full', 'up', async () => {
      const ballast = fill(inside);
      await sleep(fullMs, undefined, { signal });
      rmSync(ballast);
    });
    const { answers, slowestMs } = await probe.stop();
    remarks.push(`the API meanwhile: ${JSON.stringify(answers)}, slowest ${slowestMs} ms`);
    if (!answers['POST 503']) complaints.push('no submit was refused with 503');
    const others = Object.keys(answers).filter((answer) => !/^(GET 200|POST (202|503))$/.test(answer));
    if (others.length > 0) complaints.push(`on a full disk the API answered ${JSON.stringify(answers)}`);
    return {};
  },
};

export const embeddedFaults: readonly Scenario[] = [upKill, diskFull];

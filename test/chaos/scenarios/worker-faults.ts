/** Workers that die, hang and are replaced, on both queue stores. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Arena } from '../arena.ts';
import { answering } from '../behaviour.ts';
import { fingerprint, pickBy, planFaults, playFaults } from '../nemesis.ts';
import type { Member } from '../processes.ts';
import { type Scenario, scaled } from '../scenario.ts';

const servers = ['redis', 'postgres'] as const;

/** Frozen for longer than the lease of 30 s, so that others take its jobs while its calls are answered. */
const frozenMs = 38_000;
const poisonLimitMs = 900_000;

/**
 * With a kill every few seconds, one job can meet two of them. Beyond the 75 s of one kill (lease, sweep lease, look,
 * dispatch, one entry lost on its way to a worker), its entry is lost once more (missed after 15 s, found within 5 s),
 * and so is the worker that sweeps (its lease ends after 10 s, the next look comes within 5 s).
 */
const takeoverLimitS = 75 + (15 + 5) + (10 + 5);

export async function killWorker({ history, fleet }: Arena, member: Member): Promise<void> {
  const fault = history.begin('worker SIGKILL', member.name, member.pid);
  await member.kill();
  await fleet.startWorker();
  history.end(fault);
}

/** Whether all that was accepted is final: killing goes on only while there is something to lose. */
const isDone = async ({ progress, load }: Arena): Promise<boolean> => {
  const { final } = await progress();
  return final >= load.accepted.size;
};

/** Kills whoever calls with the poisoned prompt, until the job is given up. */
async function hunt(arena: Arena, customId: string): Promise<void> {
  const { query, fleet, signal, load } = arena;
  const id = load.accepted.get(customId)?.id;
  const endsAt = Date.now() + poisonLimitMs;
  let killed = 0;
  while (Date.now() < endsAt) {
    const [job] = await query(
      `select j.status, j.attempt, w.pid from waybill.jobs j left join waybill.workers w on w.id = j.claimed_by where j.id = '${id}'`,
    );
    if (job?.status === 'failed') return;
    const member = fleet.workers().find(({ pid }) => pid === job?.pid);
    if (job?.status === 'in_progress' && Number(job.attempt) > killed && member) {
      killed = Number(job.attempt);
      await killWorker(arena, member);
    }
    await sleep(100, undefined, { signal });
  }
}

const workerKill: Scenario = {
  name: 'worker-kill',
  about: 'SIGKILL of random workers with respawn; one job kills its worker each time it is called',
  stores: servers,
  jobs: 10_000,
  shortJobs: 300,
  settleLimitS: 240,
  arena: { workers: 3, timeouts: { first_byte: '60s', idle: '60s', total: '60s' } },
  expectations: { takeoverLimitS },
  async run(arena) {
    const { provider, load, seed, isShort, jobs, tell, signal } = arena;
    await provider.behave('a', answering(100, 500, { errorShare: 0.03, errorStatuses: [429, 500, 503] }));
    await provider.behave('b', answering(100, 500));
    // About one kill for a hundred jobs, and a hundred of them in the full form.
    const kills = isShort ? 6 : Math.max(10, Math.ceil(jobs / 100));
    const plan = planFaults(seed, { kinds: ['kill'], count: kills, gapMs: isShort ? [400, 1_200] : [800, 4_000] });
    tell(`${kills} kills, plan ${fingerprint(plan)}`);
    // Early: five times it waits for a lease to end, and the jobs before it go first.
    const poisonIndex = isShort ? -1 : Math.min(50, jobs - 1);
    await load.submit(jobs, { poisonIndex });
    const customId = `job-${poisonIndex}`;
    const [applied] = await Promise.all([
      playFaults(
        plan,
        { kill: (roll) => killWorker(arena, pickBy(arena.fleet.workers(), roll)) },
        { signal, isOver: () => isDone(arena) },
      ),
      ...(isShort ? [] : [hunt(arena, customId)]),
    ]);
    if (applied < kills) arena.remarks.push(`the work was done after ${applied} of ${kills} kills`);
    return isShort ? {} : { failing: new Map([[customId, 'poison_job']]) };
  },
};

const workerStop: Scenario = {
  name: 'worker-stop',
  about: 'SIGSTOP of a worker for longer than its lease, then SIGCONT: its late answers must change nothing',
  stores: servers,
  jobs: 600,
  shortJobs: 300,
  settleLimitS: 120,
  arena: { workers: 2 },
  async run({ provider, load, fleet, history, dice, jobs, signal }) {
    await provider.behave('a', answering(1_000, 3_000));
    await load.submit(jobs);
    await sleep(3_000, undefined, { signal });
    const member = dice.pick(fleet.workers());
    const fault = history.begin('worker SIGSTOP', member.name, member.pid);
    member.freeze();
    await sleep(frozenMs, undefined, { signal });
    member.thaw();
    history.end(fault);
    return {};
  },
};

const leaseHolder: Scenario = {
  name: 'lease-holder-kill',
  about: 'SIGKILL of the worker that holds the dispatch or the sweep lease',
  stores: servers,
  jobs: 800,
  shortJobs: 300,
  settleLimitS: 150,
  arena: { workers: 3 },
  async run(arena) {
    const { provider, load, fleet, query, jobs, until } = arena;
    await provider.behave('a', answering(100, 600));
    await load.submit(jobs);
    for (let round = 0; round < scaled(arena, 3, 1); round += 1) {
      for (const name of ['dispatch', 'sweep']) {
        let holder: Member | undefined;
        await until(
          `somebody holds the lease ${name}`,
          async () => {
            const [row] = await query(
              `select w.pid from waybill.leases l join waybill.workers w on w.id = l.worker_id where l.name = '${name}'`,
            );
            holder = fleet.workers().find(({ pid }) => pid === row?.pid);
            return holder !== undefined;
          },
          60_000,
        );
        if (holder) await killWorker(arena, holder);
      }
    }
    return {};
  },
};

const rolling: Scenario = {
  name: 'rolling-restart',
  about: 'SIGTERM and replacement of every process, one after the other, under load',
  stores: servers,
  jobs: 800,
  shortJobs: 300,
  // At 16 calls of 3.6 s on average, the provider takes 180 s for all of them.
  settleLimitS: 240,
  arena: { workers: 2 },
  async run(arena) {
    const { provider, load, fleet, history, jobs, complaints } = arena;
    // Some calls outlast the drain, and must be given up in good order.
    await provider.behave('a', answering(200, 7_000));
    await provider.behave('b', answering(200, 7_000));
    const loading = load.submit(jobs, { slice: 20, paceMs: 600 });
    for (let round = 0; round < scaled(arena, 2, 1); round += 1) {
      for (const member of [...fleet.workers(), fleet.api()]) {
        const fault = history.begin('SIGTERM', member.name, member.pid);
        const code = await member.terminate(30_000);
        if (code !== 0) complaints.push(`${member.name} ended with ${code} after SIGTERM`);
        await (member.name.startsWith('api') ? fleet.startApi() : fleet.startWorker());
        history.end(fault);
      }
    }
    await loading;
    return {};
  },
};

export const workerFaults: readonly Scenario[] = [workerKill, workerStop, leaseHolder, rolling];

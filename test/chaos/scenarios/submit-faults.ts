/** Clients that ask twice, and an API that dies under them. */
import type { Arena } from '../arena.ts';
import { answering } from '../behaviour.ts';
import { fingerprint, planFaults, playFaults } from '../nemesis.ts';
import { type Scenario, scaled } from '../scenario.ts';

const servers = ['redis', 'postgres'] as const;

async function killApi({ history, fleet }: Arena): Promise<void> {
  const member = fleet.api();
  const fault = history.begin('API SIGKILL', member.name, member.pid);
  await member.kill();
  await fleet.startApi();
  history.end(fault);
}

const apiKill: Scenario = {
  name: 'api-kill',
  about: 'SIGKILL of the API during submits; the client repeats each with its Idempotency-Key',
  stores: servers,
  jobs: 2_000,
  shortJobs: 250,
  settleLimitS: 120,
  async run(arena) {
    const { provider, load, seed, jobs, signal, tell } = arena;
    await provider.behave('a', answering(20, 200));
    const kills = scaled(arena, 8, 2);
    const plan = planFaults(seed, { kinds: ['kill'], count: kills, gapMs: [150, 900] });
    tell(`${kills} kills, plan ${fingerprint(plan)}`);
    let isLoaded = false;
    const loading = load.submit(jobs, { slice: 25, paceMs: 60, repeatShare: 0.3 });
    void loading.then(
      () => {
        isLoaded = true;
      },
      () => undefined,
    );
    const applied = await playFaults(plan, { kill: () => killApi(arena) }, { signal, isOver: async () => isLoaded });
    if (applied < kills) arena.remarks.push(`all was submitted after ${applied} of ${kills} kills`);
    await loading;
    return {};
  },
};

const together = 50;

/** All with one key at once; then one with another body. */
async function submitTogether({ fleet, load, complaints, remarks }: Arena, round: number): Promise<void> {
  const before = load.accepted.size;
  const outcomes = await load.submitTogether(together, `together-${round}`);
  if (load.accepted.size !== before + 1)
    complaints.push(`round ${round}: ${load.accepted.size - before} jobs were kept`);
  const others = outcomes.filter((outcome) => outcome !== '202');
  if (others.length > 0) complaints.push(`round ${round}: of ${together} equal submits, some got ${others.join(', ')}`);
  const body = { custom_id: 'another', model: 'default', prompt: 'another body' };
  const answer = await fetch(`${fleet.url}/v1/jobs`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${fleet.adminKey}`,
      'content-type': 'application/json',
      'idempotency-key': `together-${round}`,
    },
    body: JSON.stringify(body),
  });
  const { error } = (await answer.json()) as { error?: { code?: string } };
  if (answer.status !== 422 || error?.code !== 'idempotency_key_reused')
    complaints.push(`round ${round}: another body under the same key got ${answer.status} ${error?.code}`);
  else if (round === 0) remarks.push('another body under the same key got 422 idempotency_key_reused');
}

const duplicateSubmits: Scenario = {
  name: 'duplicate-submits',
  about: '50 equal submits at once under one Idempotency-Key, again and again; another body is refused',
  stores: ['redis', 'postgres', 'embedded'],
  jobs: 20,
  shortJobs: 5,
  settleLimitS: 60,
  async run(arena) {
    await arena.provider.behave('a', answering(20, 100));
    for (let round = 0; round < arena.jobs; round += 1) await submitTogether(arena, round);
    // A batch of its own, by which the embedded store is asked for progress.
    await arena.load.submit(5);
    return {};
  },
};

export const submitFaults: readonly Scenario[] = [apiKill, duplicateSubmits];

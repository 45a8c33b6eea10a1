/** Providers that hang, drip, break off and refuse, with another one to fall back to. */
import { setTimeout as sleep } from 'node:timers/promises';
import { answering, type ProviderBehaviour } from '../behaviour.ts';
import { type Scenario, scaled } from '../scenario.ts';

const timeouts = { first_byte: '2s', idle: '2s', total: '8s' } as const;
const totalMs = 8_000;
/** Until the provider sees that it was left, on a busy machine. */
const leavingMs = 3_000;

const faulty = (name: string, about: string, behaviour: ProviderBehaviour): Scenario => ({
  name,
  about,
  stores: ['redis', 'postgres'],
  jobs: 500,
  shortJobs: 150,
  settleLimitS: 150,
  arena: { timeouts },
  expectations: { longestCallMs: totalMs + leavingMs },
  async run(arena) {
    const { provider, load, history, jobs, signal } = arena;
    await provider.behave('a', answering(100, 400));
    await provider.behave('b', answering(100, 400));
    const loading = load.submit(jobs, { slice: 20, paceMs: 600 });
    await sleep(3_000, undefined, { signal });
    await history.during(name, 'provider a', async () => {
      await provider.behave('a', behaviour);
      await sleep(scaled(arena, 20_000, 8_000), undefined, { signal });
      await provider.behave('a', answering(100, 400));
    });
    await loading;
    return {};
  },
});

const plain = answering(50, 150);

export const providerFaults: readonly Scenario[] = [
  faulty('provider-blackhole', 'a provider accepts and never answers', { ...plain, mode: 'blackhole' }),
  faulty('provider-drip', 'a provider answers a byte per second', { ...plain, mode: 'drip' }),
  faulty('provider-cut', 'a provider ends each connection in the middle of the body', { ...plain, mode: 'cut' }),
  faulty('provider-refuse', 'a provider does not listen', { ...plain, mode: 'refuse' }),
  faulty('provider-errors', 'a provider answers six of ten calls with 429, 500 or 503', {
    ...plain,
    errorShare: 0.6,
  }),
];

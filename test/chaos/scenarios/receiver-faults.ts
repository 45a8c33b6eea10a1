/** Webhook receivers that are away, slow, broken or want to send us elsewhere. */
import { setTimeout as sleep } from 'node:timers/promises';
import { answering, type ReceiverMode } from '../behaviour.ts';
import { type Scenario, scaled } from '../scenario.ts';

/** For the work itself, which must not wait for a receiver. */
const workLimitMs = 90_000;

const faulty = (name: string, about: string, mode: ReceiverMode): Scenario => ({
  name,
  about,
  stores: ['redis', 'postgres'],
  jobs: 400,
  shortJobs: 100,
  settleLimitS: 120,
  async run(arena) {
    const { provider, receiver, load, history, jobs, signal, until, progress } = arena;
    await provider.behave('a', answering(50, 200));
    await history.during(name, 'receiver', async () => {
      await receiver.become(mode);
      await load.submit(jobs);
      await until(
        'every job is final without its receiver',
        async () => (await progress()).final >= load.accepted.size,
        workLimitMs,
      );
      // Through the second try, which comes after five seconds.
      await sleep(scaled(arena, 8_000, 3_000), undefined, { signal });
      await receiver.become('ok');
    });
    return {};
  },
});

export const receiverFaults: readonly Scenario[] = [
  faulty('receiver-down', 'the receiver does not listen', 'down'),
  faulty('receiver-slow', 'the receiver takes longer than Waybill waits', 'slow'),
  faulty('receiver-error', 'the receiver answers 500', 'error'),
  faulty('receiver-redirect', 'the receiver answers with a redirect, which must not be followed', 'redirecting'),
];

/**
 * Keeps each provider's epoch (and that of the webhooks' queue), and rebuilds a coordination store that lost it.
 *
 * One process of the fleet wins the change of the epoch in the database. From then on no claim takes a permit of the old
 * one; it puts back the permits of the calls that are under way, and the new epoch last. The others wait for it.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { rateLimitsOf } from '../config/model-settings.ts';
import type { Settings } from '../config/settings.ts';
import { splitTarget } from '../domain/job.ts';
import { type QueueBackend, webhookQueueName } from '../queue/queue.ts';
import { amountOf, type RateLimit, rateLimits } from '../routing/limits.ts';
import type { Database } from '../store/database.ts';
import { returnQueuedDeliveries } from '../store/deliveries.ts';
import {
  keepEpoch,
  openPermits,
  readEpoch,
  returnDispatched,
  type SpentRow,
  spentLately,
  swapEpoch,
} from '../store/epochs.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Coordination, SpentRate } from './coordination.ts';

const waitForOtherMs = 5_000;
const pollMs = 100;

export interface Epochs {
  /** The provider's epoch; the store is made to hold it first. */
  of(provider: string): Promise<string>;
  /** The store answered `epoch_lost`, or a claim that the epoch is old. */
  lost(provider: string, epoch: string): void;
  /** Looks whether the stores still hold what they should, and rebuilds those that do not: a wiped queue rings no bell. */
  check(providers: readonly string[]): Promise<void>;
}

export interface EpochsOptions {
  readonly database: Database;
  readonly coordination: Coordination;
  readonly queues: QueueBackend;
  readonly logger: Logger;
  /** For the rates that are rebuilt. */
  readonly settings: () => Settings;
}

export function createEpochs(options: EpochsOptions): Epochs {
  const known = new Map<string, string>();
  const finding = new Map<string, Promise<string>>();
  const find = async (provider: string): Promise<string> => {
    const epoch = await agreeOnEpoch(provider, options);
    known.set(provider, epoch);
    return epoch;
  };
  const of = async (provider: string): Promise<string> => {
    const epoch = known.get(provider);
    if (epoch !== undefined) return epoch;
    const running = finding.get(provider) ?? find(provider).finally(() => finding.delete(provider));
    finding.set(provider, running);
    return running;
  };
  const lost = (provider: string, epoch: string): void => {
    if (known.get(provider) === epoch) known.delete(provider);
  };
  return {
    of,
    lost,
    async check(providers) {
      for (const provider of providers) {
        const epoch = await of(provider);
        if (await options.coordination.holdsEpoch(provider, epoch)) continue;
        lost(provider, epoch);
        await of(provider);
      }
    },
  };
}

/** Reads the epoch from the database; when the store does not hold it, rebuilds the store, or waits for who does. */
async function agreeOnEpoch(provider: string, options: EpochsOptions): Promise<string> {
  const { database, coordination } = options;
  for (;;) {
    const { epoch, isNew, ageMs } = await readEpoch(database, provider, randomUUID());
    // Nobody can have called a provider that had no epoch.
    if (isNew) await coordination.restore(provider, epoch, []);
    if (await coordination.holdsEpoch(provider, epoch)) return epoch;
    if (ageMs < waitForOtherMs) {
      // Whoever changed it rebuilds the store now; should it die in the middle, its turn is taken after a while.
      await sleep(pollMs);
      continue;
    }
    const next = randomUUID();
    if (!(await swapEpoch(database, provider, epoch, next))) continue;
    if (await rebuild(provider, next, options)) return next;
  }
}

/** False: it took so long that another process has taken its turn, whose state is not to be wiped. */
async function rebuild(
  provider: string,
  epoch: string,
  { database, coordination, queues, logger, settings }: EpochsOptions,
): Promise<boolean> {
  const permits = await openPermits(database, provider);
  const spent = await whileKept(provider, epoch, database, () => spentRates(provider, settings(), database));
  const returned = queues.isRebuiltWithEpoch ? await restoreQueue(provider, database, queues) : 0;
  if ((await readEpoch(database, provider, epoch)).epoch !== epoch) return false;
  await coordination.restore(provider, epoch, permits, spent);
  tellRebuilt(provider, { permits: permits.length, jobs: returned }, coordination, logger);
  return true;
}

const keepMs = 1_000;

/** A day's calls take long to count, in statements that end in time: the others wait for as long as this process is at it. */
async function whileKept<T>(provider: string, epoch: string, database: Database, work: () => Promise<T>): Promise<T> {
  const keep = () => void keepEpoch(database, provider, epoch).catch(() => undefined);
  const keeping = setInterval(keep, keepMs);
  try {
    return await work();
  } finally {
    clearInterval(keeping);
  }
}

function tellRebuilt(
  provider: string,
  { permits, jobs }: { readonly permits: number; readonly jobs: number },
  coordination: Coordination,
  logger: Logger,
): void {
  const counts = { provider, permits, jobs };
  if (permits + jobs > 0) logger.warn(counts, 'the coordination store had lost its state of a provider: rebuilt it');
  else logger.debug(counts, 'the coordination store knew nothing of a provider');
  if (jobs > 0) coordination.publish({ type: 'work' });
  // Its breakers and pauses are gone with it: who waits for one of them is looked at again.
  coordination.publish({ type: 'breaker_changed', target: `${provider}/*` });
}

async function restoreQueue(name: string, database: Database, queues: QueueBackend): Promise<number> {
  await queues.queue(name).writeSettings();
  return name === webhookQueueName ? returnQueuedDeliveries(database) : returnDispatched(database, name);
}

/** The windows of a provider's accounts, from what was called lately; a day's only where a day is limited. */
async function spentRates(name: string, settings: Settings, database: Database): Promise<SpentRate[]> {
  const provider = settings.providers[name];
  if (!provider) return [];
  const limitsOf = (target: string) => rateLimits(rateLimitsOf(provider, splitTarget(target).model));
  const configured = [
    rateLimits(provider.limits),
    ...Object.keys(provider.models).map((model) => limitsOf(`${name}/${model}`)),
  ].flat();
  const windows = new Map(configured.map((limit) => [limit.slotMs, limit.slotMs * limit.slots]));
  const spent: SpentRate[] = [];
  for (const [slotMs, sinceMs] of windows) {
    const rows = await spentLately(database, name, sinceMs, slotMs);
    for (const own of Map.groupBy(rows, ({ target, account }) => `${target} ${account}`).values())
      spent.push(...spentOf(own, (target) => limitsOf(target).filter((limit) => limit.slotMs === slotMs)));
  }
  return spent;
}

/** @param rows of one target and account */
function spentOf(rows: readonly SpentRow[], limitsOf: (target: string) => readonly RateLimit[]): SpentRate[] {
  const [first] = rows;
  if (!first) return [];
  const { target, account } = first;
  return limitsOf(target).map((limit) => ({
    target,
    account,
    limit,
    slots: new Map(rows.map((row) => [row.slot, amountIn(limit, row)])),
  }));
}

const amountIn = ({ unit }: RateLimit, { requests, input_tokens, output_tokens }: SpentRow): number =>
  unit === 'requests' ? requests : amountOf(unit, { inputTokens: input_tokens, outputTokens: output_tokens });

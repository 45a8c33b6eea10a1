/**
 * The dispatcher: feeds each target's queue from the backlog, as far as its window has room.
 *
 * One process of the fleet holds the `dispatch` lease. Which jobs go next is `routing/fair-share`; a job whose target
 * cannot take it now goes to the next one that can, or waits where it is, and the jobs behind it go ahead.
 */
import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import { priorities, splitTarget } from '@waybill/shared/domain/job.ts';
import { addJobEntries } from '@waybill/shared/queue/job-entries.ts';
import { webhookQueueName } from '@waybill/shared/queue/queue.ts';
import { type Candidate, candidates, type TargetFacts } from '@waybill/shared/routing/candidates.ts';
import { shareOut, type TenantLine } from '@waybill/shared/routing/fair-share.ts';
import { targetFacts } from '@waybill/shared/routing/target-facts.ts';
import { interactiveReserve } from '@waybill/shared/routing/window.ts';
import {
  type BacklogGroup,
  type BacklogHead,
  type DispatchedJobRow,
  dueGroups,
  holdJob,
  markDispatched,
  readHeads,
  releaseHeld,
  tenantWeights,
  triedTargets,
  type WindowUse,
  windowsInUse,
} from '@waybill/shared/store/backlog.ts';
import { redirectQueuedJob } from '@waybill/shared/store/settle.ts';
import { createHeldLease, type HeldLease } from '../held-lease.ts';
import { type Loop, startLoop } from '../loop.ts';
import { sharedState } from '../shared-state.ts';
import type { WorkerContext } from '../worker-context.ts';
import { createShares, type Shares } from './shares.ts';
import { windowsOf } from './windows.ts';

/** With work in the backlog, places in the windows come free all the time. */
const busyIntervalMs = 100;
const idleIntervalMs = 1_000;
/** How often the queue's store is looked at: wiped, it would ring no bell. */
const checkIntervalMs = 1_000;
/** Jobs looked at when their target cannot take them. */
const strandedBatch = 200;
/** Reads of one target's backlog in one round, and of one group at least. */
const mostPasses = 4;
const fewestHeads = 4;
/** How long a job stays aside whose targets are all switched off. */
const holdMs = 60_000;
/** Targets served in one round; more than any configuration has. */
const mostTargets = 1_000;

/** What the dispatcher may touch. */
export type DispatchContext = Pick<
  WorkerContext,
  'credentials' | 'database' | 'queues' | 'coordination' | 'epochs' | 'fleet' | 'settings' | 'lease' | 'logger' | 'now'
>;

export interface Dispatcher {
  /** Something has changed that jobs may be waiting for. */
  release(): void;
  stop(): Promise<void>;
}

export interface DispatchState {
  readonly lease: HeldLease;
  readonly shares: Shares;
  /** When the last round began, by a clock that only goes forward. */
  roundAt: number;
  /** When the queue's store was last seen to be whole. */
  checkedAt: number;
  /** Jobs that were held are due, from this id on; null: none. */
  releaseAfter: string | null;
}

export const createDispatchState = (context: DispatchContext): DispatchState => ({
  lease: createHeldLease('dispatch', context),
  shares: createShares(),
  roundAt: performance.now(),
  checkedAt: Number.NEGATIVE_INFINITY,
  releaseAfter: null,
});

export function startDispatcher(context: DispatchContext): Dispatcher {
  const state = createDispatchState(context);
  const loop: Loop = startLoop({
    name: 'dispatch',
    intervalMs: idleIntervalMs,
    logger: context.logger,
    round: () => dispatchRound(context, state),
  });
  const unsubscribe = context.coordination.subscribe((signal) => {
    if (signal.type === 'work') loop.wake();
  });
  return {
    release() {
      state.releaseAfter = '';
      loop.wake();
    },
    stop() {
      unsubscribe();
      return loop.stop();
    },
  };
}

interface Round {
  readonly settings: Settings;
  readonly windowOf: (target: string) => number;
  readonly factsOf: (target: string) => TargetFacts;
  readonly weights: ReadonlyMap<string, number>;
  readonly shares: Shares;
}

export async function dispatchRound(context: DispatchContext, state: DispatchState): Promise<{ nextMs: number }> {
  const { database, coordination, epochs, fleet, settings, queues, logger } = context;
  if (!queues.isReachable() || !(await state.lease.holds())) return { nextMs: idleIntervalMs };
  if (queues.isRebuiltWithEpoch && performance.now() - state.checkedAt >= checkIntervalMs) {
    await epochs.check([...Object.keys(settings().providers), webhookQueueName]);
    state.checkedAt = performance.now();
  }
  if (state.releaseAfter !== null) state.releaseAfter = await releaseHeld(database, state.releaseAfter);
  const groups = await dueGroups(database);
  const startedAt = performance.now();
  state.shares.keep(new Set(groups.map((group) => group.target)), startedAt - state.roundAt);
  state.roundAt = startedAt;
  if (groups.length === 0) return { nextMs: idleIntervalMs };
  await coordination
    .takeCharges()
    .then(state.shares.apply, (error: unknown) => logger.debug({ err: error }, 'charges could not be read'));
  const windowOf = await windowsOf(fleet, settings());
  const byTarget = [...Map.groupBy(groups, (group) => group.target)].slice(0, mostTargets);
  const windows = new Map(byTarget.map(([target]) => [target, windowOf(target)]));
  const round: Round = {
    settings: settings(),
    windowOf,
    factsOf: targetFacts(settings(), await sharedState(context), context.now()),
    weights: await tenantWeights(database, [...new Set(groups.map((group) => group.tenant_id))]),
    shares: state.shares,
  };
  const inUse = await windowsInUse(database, windows);
  for (const [target, list] of byTarget) await serve(target, list, inUse.get(target), round, context);
  return { nextMs: busyIntervalMs };
}

async function serve(
  target: string,
  groups: readonly BacklogGroup[],
  use: WindowUse | undefined,
  round: Round,
  context: DispatchContext,
): Promise<void> {
  const facts = round.factsOf(target);
  const canTake = facts.isConfigured && facts.isEnabled && facts.closed === null;
  if (canTake) await feed(target, groups, use ?? { used: 0, interactive: 0 }, round, context);
  else
    await moveAway(await readHeads(context.database, groups, Math.ceil(strandedBatch / groups.length)), round, context);
}

/** Fills the window; reads a few jobs of each group, and again while there is room and a group had more to give. */
async function feed(
  target: string,
  groups: readonly BacklogGroup[],
  use: WindowUse,
  round: Round,
  context: DispatchContext,
): Promise<void> {
  let { used, interactive } = use;
  const window = round.windowOf(target);
  for (let pass = 0; pass < mostPasses; pass++) {
    const reserved = Math.max(0, interactiveReserve(window) - interactive);
    const room = window - used;
    if (room <= 0 || (room <= reserved && groups.every((group) => group.priority > 0))) return;
    const perGroup = Math.min(room, Math.max(fewestHeads, Math.ceil((2 * room) / groups.length)));
    const heads = await readHeads(context.database, groups, perGroup);
    const { added, movedAway } = await dispatch(target, heads, { room, reserved }, round, context);
    used += added.length;
    interactive += added.filter(({ priority }) => priority === 0).length;
    const hadMore = [...Map.groupBy(heads, groupKey).values()].some((list) => list.length === perGroup);
    if (added.length + movedAway === 0 || !hadMore) return;
  }
}

const groupKey = ({ tenant_id, priority, precedence }: BacklogGroup): string =>
  `${tenant_id} ${priority} ${precedence}`;

async function dispatch(
  target: string,
  heads: readonly BacklogHead[],
  { room, reserved }: { room: number; reserved: number },
  { windowOf, factsOf, weights, shares }: Round,
  context: DispatchContext,
): Promise<{ added: readonly DispatchedJobRow[]; movedAway: number }> {
  const { database, queues } = context;
  const canServe = (head: BacklogHead) => candidates([target], needsOf(head), factsOf)[0]?.kind === 'eligible';
  const able = heads.filter(canServe);
  const unable = heads.filter((head) => !canServe(head)).slice(0, strandedBatch);
  if (unable.length > 0) await moveAway(unable, { windowOf, factsOf }, context);
  const lines = toLines(able, weights, (tenant) => shares.factor(target, tenant));
  const share = shareOut({ state: shares.state(target), lines, room, reserved });
  shares.setState(target, share.state);
  const marked = await markDispatched(database, target, share.picked);
  await addJobEntries(queues, marked, 'backlog');
  return { added: marked, movedAway: unable.length };
}

/** A tenant's jobs, each class in its order: retries and fallbacks first, then the oldest. */
function toLines(
  heads: readonly BacklogHead[],
  weights: ReadonlyMap<string, number>,
  factorOf: (tenant: string) => number,
): TenantLine[] {
  // The heads come group by group, each in its order, and the groups in theirs.
  return [...Map.groupBy(heads, (head) => head.tenant_id)].map(([tenant, jobs]) => ({
    tenant,
    weight: weights.get(tenant) ?? 1,
    jobs: jobs
      .toSorted((a, b) => a.priority - b.priority || a.precedence - b.precedence)
      .map((job) => ({
        id: job.id,
        priority: job.priority,
        tokens: job.estimated_tokens * factorOf(tenant),
        waitedMs: job.waited_ms,
      })),
  }));
}

const needsOf = (job: Pick<BacklogHead, 'require' | 'exclude_providers'>) => ({
  capabilities: [],
  // The window was looked at when the job was accepted.
  windowTokens: 0,
  require: job.require,
  excludeProviders: job.exclude_providers,
});

/** Sends jobs whose target cannot take them to the next one that can. */
async function moveAway(
  jobs: readonly BacklogHead[],
  { windowOf, factsOf }: Pick<Round, 'windowOf' | 'factsOf'>,
  context: DispatchContext,
): Promise<void> {
  const { database } = context;
  const tried = await triedTargets(database, jobs);
  for (const job of jobs) {
    const found = candidates(job.targets, needsOf(job), factsOf);
    if (waitsHere(job, found, context)) {
      await hold(
        job,
        found.filter(({ target }) => target === job.target),
        context,
      );
      continue;
    }
    const next = found.find((candidate) => candidate.kind === 'eligible' && !tried.get(job.id)?.has(candidate.target));
    if (next && next.target !== job.target) await redirect(job, next.target, windowOf(next.target), context);
    else await hold(job, found, context);
  }
}

/** A limit is waited for as long as the chain says for the job's class; other obstacles are left behind at once. */
function waitsHere(job: BacklogHead, found: readonly Candidate[], { settings, now }: DispatchContext): boolean {
  const here = found.find((candidate) => candidate.target === job.target);
  if (here?.kind !== 'skipped' || here.reason !== 'limited') return false;
  const chain = (job.chain === null ? undefined : settings().chains[job.chain]) ?? chainOfTarget(job.target);
  const patienceMs = chain.mode === 'immediate' ? 0 : chain.onLimitMs[priorities[job.priority] ?? 'normal'];
  return patienceMs === null || (here.untilMs ?? 0) - now() <= patienceMs;
}

async function redirect(
  job: BacklogHead,
  target: string,
  window: number,
  { database, queues, logger }: DispatchContext,
): Promise<void> {
  const moved = await redirectQueuedJob(database, job.id, job.seq, {
    kind: 'requeue',
    target,
    delayMs: 0,
    waiting: null,
    window,
    carried: null,
  });
  if (!moved) return;
  logger.debug({ job_id: job.id, from: job.target, to: target }, 'moved on before its attempt');
  if (moved.dispatched_at !== null)
    await addJobEntries(queues, [moved], `moved from ${splitTarget(job.target).provider}`);
}

async function hold(job: BacklogHead, found: readonly Candidate[], { database, now }: DispatchContext): Promise<void> {
  const untils = found.flatMap((candidate) =>
    candidate.kind === 'skipped' && candidate.untilMs !== null ? [candidate.untilMs] : [],
  );
  const isLimit = found.every((candidate) => candidate.kind === 'skipped' && candidate.reason === 'limited');
  if (untils.length === 0) await holdJob(database, job.id, job.seq, now() + holdMs, 'paused');
  else await holdJob(database, job.id, job.seq, Math.min(...untils), isLimit ? 'rate_limit' : 'recovery');
}

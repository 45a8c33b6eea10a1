/**
 * The dispatcher: feeds each target's queue from the backlog, as far as its window has room.
 *
 * One process of the fleet holds the `dispatch` lease. Which jobs go next is `routing/fair-share`; a job whose target
 * cannot take it now goes to the next one that can, or waits where it is, and the jobs behind it go ahead.
 */
import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import { priorities } from '@waybill/shared/domain/job.ts';
import { addJobEntries } from '@waybill/shared/queue/job-entries.ts';
import { webhookQueueName } from '@waybill/shared/queue/queue.ts';
import { type Candidate, candidates, type SkipReason, type TargetFacts } from '@waybill/shared/routing/candidates.ts';
import { shareOut, type TenantLine } from '@waybill/shared/routing/fair-share.ts';
import { needsOf } from '@waybill/shared/routing/job-needs.ts';
import { targetFacts } from '@waybill/shared/routing/target-facts.ts';
import { interactiveReserve } from '@waybill/shared/routing/window.ts';
import {
  type BacklogGroup,
  type BacklogHead,
  type DispatchedJobRow,
  dueGroups,
  type HeldReason,
  heldReasons,
  holdJobs,
  markDispatched,
  readHeads,
  releaseHeld,
  tenantWeights,
  triedTargets,
  type WindowUse,
  windowsInUse,
} from '@waybill/shared/store/backlog.ts';
import { move, park } from '../attempt/move.ts';
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
/** How long jobs stay aside that may go to another target alone, which has no room. */
const asideMs = 5_000;
/** A target that takes nothing is looked at again after this. */
const closedIntervalMs = 1_000;
/** Jobs that wait for a budget are woken a few at a time: each settle frees little. */
const budgetBatch = 20;
/** Targets served in one round; more than any configuration has. */
const mostTargets = 1_000;

/** What the dispatcher may touch. */
export type DispatchContext = Pick<
  WorkerContext,
  'credentials' | 'database' | 'queues' | 'coordination' | 'epochs' | 'fleet' | 'settings' | 'lease' | 'logger' | 'now'
>;

export interface Dispatcher {
  /** Something has changed that jobs may be waiting for. */
  release(reasons?: readonly HeldReason[]): void;
  /** Something that was reserved of a budget is free again. */
  releaseBudget(): void;
  stop(): Promise<void>;
}

export interface DispatchState {
  readonly lease: HeldLease;
  readonly shares: Shares;
  /** When the last round began, by a clock that only goes forward. */
  roundAt: number;
  /** When the queue's store was last seen to be whole. */
  checkedAt: number;
  /** Jobs that were held for one of the reasons are due, from this id on; null: none. */
  releaseAfter: string | null;
  releaseReasons: readonly HeldReason[];
  isBudgetFreed: boolean;
  /** Targets whose jobs can go nowhere now, and when they are looked at again, by a clock that only goes forward. */
  readonly closedUntil: Map<string, number>;
}

export const createDispatchState = (context: DispatchContext): DispatchState => ({
  lease: createHeldLease('dispatch', context),
  shares: createShares(),
  roundAt: performance.now(),
  checkedAt: Number.NEGATIVE_INFINITY,
  releaseAfter: null,
  releaseReasons: heldReasons,
  isBudgetFreed: false,
  closedUntil: new Map(),
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
    release(reasons = heldReasons) {
      // One that is under way is for all that it was for.
      state.releaseReasons = state.releaseAfter === null ? reasons : heldReasons;
      state.releaseAfter = '';
      state.closedUntil.clear();
      loop.wake();
    },
    releaseBudget() {
      state.isBudgetFreed = true;
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
  /** How many more a target can take in this round. */
  readonly rooms: Map<string, number>;
}

export async function dispatchRound(context: DispatchContext, state: DispatchState): Promise<{ nextMs: number }> {
  const { database, coordination, epochs, fleet, settings, queues, logger } = context;
  if (!queues.isReachable() || !(await state.lease.holds())) return { nextMs: idleIntervalMs };
  if (queues.isRebuiltWithEpoch && performance.now() - state.checkedAt >= checkIntervalMs) {
    await epochs.check([...Object.keys(settings().providers), webhookQueueName]);
    state.checkedAt = performance.now();
  }
  await releaseWaiting(context, state);
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
    rooms: new Map(),
  };
  const inUse = await windowsInUse(database, windows);
  let isBusy = false;
  for (const [target, list] of byTarget) {
    if ((state.closedUntil.get(target) ?? 0) > startedAt) continue;
    const hasMoved = await serve(target, list, inUse.get(target), round, context);
    if (hasMoved) state.closedUntil.delete(target);
    else state.closedUntil.set(target, startedAt + closedIntervalMs);
    isBusy ||= hasMoved;
  }
  return { nextMs: isBusy ? busyIntervalMs : idleIntervalMs };
}

async function releaseWaiting({ database }: DispatchContext, state: DispatchState): Promise<void> {
  if (state.releaseAfter !== null)
    state.releaseAfter = await releaseHeld(database, state.releaseAfter, state.releaseReasons, releaseBatch);
  if (!state.isBudgetFreed) return;
  state.isBudgetFreed = false;
  await releaseHeld(database, '', ['budget'], budgetBatch);
}
const releaseBatch = 1_000;

/** True: it may have more to do at once. */
async function serve(
  target: string,
  groups: readonly BacklogGroup[],
  use: WindowUse | undefined,
  round: Round,
  context: DispatchContext,
): Promise<boolean> {
  const facts = round.factsOf(target);
  const isBroken = facts.breaker?.kind === 'open';
  if (facts.isConfigured && facts.isEnabled && facts.closed === null && !isBroken) {
    await feed(target, groups, use ?? { used: 0, interactive: 0 }, round, context);
    // What its one probe leaves goes elsewhere.
    if (facts.breaker === null) return true;
  }
  const heads = await readHeads(context.database, groups, Math.ceil(strandedBatch / groups.length));
  return (await moveAway(heads, round, context, 'in_line')) > 0;
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
    const { added, setAside } = await dispatch(target, heads, { room, reserved }, round, context);
    used += added.length;
    interactive += added.filter(({ priority }) => priority === 0).length;
    const hadMore = [...Map.groupBy(heads, groupKey).values()].some((list) => list.length === perGroup);
    if (added.length + setAside === 0 || !hadMore) return;
  }
}

const groupKey = ({ tenant_id, priority, precedence }: BacklogGroup): string =>
  `${tenant_id} ${priority} ${precedence}`;

async function dispatch(
  target: string,
  heads: readonly BacklogHead[],
  { room, reserved }: { room: number; reserved: number },
  round: Round,
  context: DispatchContext,
): Promise<{ added: readonly DispatchedJobRow[]; setAside: number }> {
  const { database, queues } = context;
  const { factsOf, weights, shares, settings } = round;
  const canServe = (head: BacklogHead) =>
    candidates([target], needsOf(head, settings), factsOf)[0]?.kind === 'eligible';
  const able = heads.filter(canServe);
  const unable = heads.filter((head) => !canServe(head)).slice(0, strandedBatch);
  if (unable.length > 0) await moveAway(unable, round, context, 'aside');
  const lines = toLines(able, weights, (tenant) => shares.factor(target, tenant));
  const share = shareOut({ state: shares.state(target), lines, room, reserved });
  shares.setState(target, share.state);
  const marked = await markDispatched(database, target, share.picked);
  await addJobEntries(queues, marked, 'backlog');
  return { added: marked, setAside: unable.length };
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

/**
 * Sends jobs whose target cannot take them to the next one that can, as far as its window has room.
 *
 * @param leftOver where those stand that find no room: in line, as no other of their target could go either, or aside for
 *   a moment, so that those behind them are seen
 * @returns how many went
 */
async function moveAway(
  jobs: readonly BacklogHead[],
  round: Round,
  context: DispatchContext,
  leftOver: 'in_line' | 'aside',
): Promise<number> {
  const tried = await triedTargets(context.database, jobs);
  const noRoom: BacklogHead[] = [];
  let moved = 0;
  for (const job of jobs) {
    const found = candidates(job.targets, needsOf(job, round.settings), round.factsOf);
    const here = found.filter(({ target }) => target === job.target);
    if (waitsHere(job, here, context)) {
      await hold(job, here, context);
      continue;
    }
    const next = found.find(
      ({ kind, target }) => kind === 'eligible' && target !== job.target && !tried.get(job.id)?.has(target),
    );
    if (next === undefined) await hold(job, found, context);
    else if (await hasRoom(next.target, round, context)) {
      await leave(job, next.target, found, context);
      moved += 1;
    } else noRoom.push(job);
  }
  if (leftOver === 'aside') await holdJobs(context.database, noRoom, context.now() + asideMs, 'recovery');
  return moved;
}

/** The others wait where they are: a backlog does not pour into the next target's. */
async function hasRoom(target: string, { rooms, windowOf }: Round, { database }: DispatchContext): Promise<boolean> {
  let room = rooms.get(target);
  if (room === undefined) {
    const window = windowOf(target);
    room = window - ((await windowsInUse(database, new Map([[target, window]]))).get(target)?.used ?? 0);
  }
  rooms.set(target, room - 1);
  return room > 0;
}

async function leave(
  job: BacklogHead,
  target: string,
  found: readonly Candidate[],
  context: DispatchContext,
): Promise<void> {
  const here = found.find((candidate) => candidate.target === job.target);
  const why = here?.kind === 'skipped' ? here.reason : 'breaker';
  const chain = job.chain === null ? undefined : context.settings().chains[job.chain];
  if (chain?.mode === 'manual') await park(job, target, why, found, context);
  else await move(job, { target, delayMs: 0 }, why, found, context);
}

/** A limit is waited for as long as the chain says for the job's class; other obstacles are left behind at once. */
function waitsHere(job: BacklogHead, [here]: readonly Candidate[], { settings, now }: DispatchContext): boolean {
  if (here?.kind !== 'skipped' || here.reason !== 'limited') return false;
  const chain = (job.chain === null ? undefined : settings().chains[job.chain]) ?? chainOfTarget(job.target);
  const patienceMs = chain.mode === 'immediate' ? 0 : chain.onLimitMs[priorities[job.priority] ?? 'normal'];
  const sinceMs = job.limited_since?.getTime() ?? now();
  return patienceMs === null || (here.untilMs ?? 0) - sinceMs <= patienceMs;
}

async function hold(job: BacklogHead, found: readonly Candidate[], { database, now }: DispatchContext): Promise<void> {
  const skipped = found.filter((candidate) => candidate.kind === 'skipped');
  const untils = skipped.flatMap(({ untilMs }) => (untilMs === null ? [] : [untilMs]));
  const areAll = (reason: SkipReason) => skipped.every((candidate) => candidate.reason === reason);
  const reason = areAll('limited') ? 'rate_limit' : areAll('breaker') ? 'breaker' : 'recovery';
  // The one call that finds out whether its target is well again is under way.
  if (found.some(({ kind, target }) => kind === 'eligible' && target === job.target))
    await holdJobs(database, [job], now() + closedIntervalMs, 'breaker');
  else if (untils.length > 0) await holdJobs(database, [job], Math.min(...untils), reason);
  // Nothing that ends by itself. Also where a label is missing: with the next configuration it may be there.
  else await holdJobs(database, [job], now() + holdMs, areAll('breaker') ? 'breaker' : 'paused');
}

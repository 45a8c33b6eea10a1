/** A target that dies and comes back: its breaker over eight processes, and the target beside it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Arena } from '../arena.ts';
import { answering } from '../behaviour.ts';
import { type MatchedCall, matchCalls } from '../calls.ts';
import type { Call, Evidence } from '../evidence.ts';
import { type Scenario, scaled } from '../scenario.ts';

const limit = 16;
/**
 * A call that was let go before the breaker opened may be claimed and made after it; how much later, a busy machine decides.
 * No probe begins as early: the cooldown is at least 2.4 s.
 */
const claimedLateMs = 250;

interface Change {
  readonly type: string;
  readonly atMs: number;
}

async function readChanges({ query }: Arena): Promise<Change[]> {
  const rows = await query(
    `select type, (extract(epoch from created_at) * 1000)::float8 as at from waybill.events where type like 'breaker.%' and id like '%a/m%' order by ord`,
  );
  return rows.map(({ type, at }) => ({ type: String(type), atMs: Number(at) }));
}

/** The breaker of `a` was open between its first opening and its closing. */
function openTime(changes: readonly Change[]): { fromMs: number; toMs: number } | null {
  const opened = changes.find(({ type }) => type === 'breaker.opened');
  const closed = changes.findLast(({ type }) => type === 'breaker.closed');
  return opened && closed ? { fromMs: opened.atMs, toMs: closed.atMs } : null;
}

const endOf = ({ endedAtMs }: Call): number => endedAtMs ?? Number.POSITIVE_INFINITY;

async function check(evidence: Evidence, arena: Arena): Promise<string[]> {
  const changes = await readChanges(arena);
  const open = openTime(changes);
  if (open === null) return ['the breaker of a/m was not opened and closed'];
  const ofA = matchCalls(evidence).matched.filter(({ provider }) => provider === 'a');
  const isLate = ({ attempt }: MatchedCall): boolean => attempt.startedAtMs <= open.fromMs + claimedLateMs;
  const probes = ofA.filter((call) => !isLate(call) && call.beganAtMs < open.toMs);
  const together = probes.filter((call, i) => probes.slice(0, i).some((other) => endOf(other) > call.beganAtMs));
  const failed = probes.filter(({ status }) => status !== 200);
  const answered = probes.filter(({ status }) => status === 200);
  const died = arena.history.faults[0]?.startedAtMs ?? 0;
  const beforeOpen = ofA.filter((call) => call.beganAtMs >= died && isLate(call) && call.status !== 200);
  const succeeded = evidence.attempts.filter(({ status, target }) => status === 'succeeded' && target === 'b/m').length;
  arena.remarks.push(
    `opened ${Math.round(open.fromMs - died)} ms after the target died, after ${beforeOpen.length} failed calls; ${failed.length} probes failed, ${answered.length} were answered, ${together.length} beside another one; ${succeeded} jobs were answered by b`,
    `most entries of b/m in its queue: ${worstWindow.get(arena) ?? 0}`,
  );
  return [
    ...(together.length > 0 ? [`${together.length} probes were made beside another one`] : []),
    ...(answered.length < 2 ? [`closed after ${answered.length} answered probes`] : []),
    ...(beforeOpen.length > 5 + limit ? [`${beforeOpen.length} calls failed before it opened`] : []),
    ...((worstWindow.get(arena) ?? 0) > largestWindow
      ? [`${worstWindow.get(arena)} entries of b/m waited in its queue`]
      : []),
  ];
}

/** Of b: 2 x its concurrency, or four seconds of its throughput. */
const largestWindow = 4 * 2 * limit;
const worstWindow = new WeakMap<Arena, number>();

async function watchWindow(arena: Arena, isOver: () => boolean): Promise<void> {
  while (!isOver() && !arena.signal.aborted) {
    const [row] = await arena.query(
      `select count(*)::int as n from waybill.jobs where target = 'b/m' and status = 'queued' and dispatched_at is not null`,
    );
    worstWindow.set(arena, Math.max(worstWindow.get(arena) ?? 0, Number(row?.n)));
    await sleep(200);
  }
}

const targetDies: Scenario = {
  name: 'target-dies',
  about: 'a target answers nothing but 503 for a while; eight workers share its breaker',
  stores: ['redis', 'postgres'],
  jobs: 1_500,
  shortJobs: 400,
  settleLimitS: 240,
  arena: {
    workers: 8,
    limit,
    configure: (config) => ({ ...config, breaker: { cooldown: '3s', max_cooldown: '6s' } }),
  },
  async run(arena) {
    const { provider, load, history, jobs, signal } = arena;
    await provider.behave('a', answering(100, 300));
    await provider.behave('b', answering(100, 300));
    let isOver = false;
    const watching = watchWindow(arena, () => isOver);
    const loading = load.submit(jobs, { slice: 50, paceMs: scaled(arena, 1_000, 1_500) });
    await sleep(4_000, undefined, { signal });
    await history.during('503', 'target a/m', async () => {
      await provider.behave('a', answering(100, 300, { errorShare: 1, errorStatuses: [503] }));
      await sleep(scaled(arena, 20_000, 8_000), undefined, { signal });
      await provider.behave('a', answering(100, 300));
    });
    await loading;
    // Its probes are real jobs: some have to come for it to close.
    await arena.until(
      'the breaker has closed',
      async () => {
        if (openTime(await readChanges(arena)) !== null) return true;
        await load.submit(4);
        return false;
      },
      60_000,
    );
    isOver = true;
    await watching;
    return {};
  },
  check,
};

export const breakerScenarios: readonly Scenario[] = [targetDies];

/** Runs one scenario on one kind of store, from empty servers to the verdict. */
import { type Arena, openArena, type Store } from './arena.ts';
import { checkRun, type Expectations, type Violation } from './invariants.ts';
import { floods, groupLogs, type LogGroup } from './logs.ts';
import type { Fault } from './nemesis.ts';
import { describeLast, type RunNumbers } from './numbers.ts';
import type { Scenario } from './scenario.ts';

export interface RunOptions {
  readonly seed: number;
  readonly isShort: boolean;
  /** Null: the scenario's own number. */
  readonly jobs: number | null;
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
}

export interface RunReport {
  readonly scenario: string;
  readonly store: Store;
  readonly seed: number;
  readonly sources: readonly string[];
  readonly durationS: number;
  readonly numbers: RunNumbers;
  /** What was done, and when: the nemesis's own history. */
  readonly faults: readonly Fault[];
  readonly redisPeak: string | null;
  readonly logLines: number;
  /** The most frequent messages. */
  readonly logGroups: readonly LogGroup[];
  readonly remarks: readonly string[];
  readonly violations: readonly Violation[];
  /** The last lines of the processes' logs, where something is wrong. */
  readonly logTails: readonly string[];
}

const defaults = {
  workers: 2,
  limit: 16,
  timeouts: { first_byte: '10s', idle: '10s', total: '20s' },
} as const;
const baseExpectations: Expectations = {
  limit: defaults.limit,
  failing: new Map(),
  isEveryWebhookDelivered: true,
  recoveryLimitS: 60,
  takeoverLimitS: 75,
  longestCallMs: null,
};
const tailLines = 12;
const tailLength = 300;
const shownGroups = 12;
const tellEveryMs = 5_000;
/** Further off than that, a delivery waits for a later step of its schedule, which is minutes. */
const soonS = 20;

export async function runScenario(scenario: Scenario, store: Store, options: RunOptions): Promise<RunReport> {
  const startedAt = performance.now();
  const { seed, isShort, signal, tell } = options;
  const arena = await openArena({
    ...defaults,
    ...scenario.arena,
    store,
    seed,
    isShort,
    signal,
    tell,
    jobs: options.jobs ?? (isShort ? scenario.shortJobs : scenario.jobs),
  });
  try {
    const expectations = { ...baseExpectations, limit: arena.limit, ...scenario.expectations };
    const complaints = await playOut(scenario, arena, (more) => Object.assign(expectations, more));
    const redisPeak = await arena.redisPeak().catch(() => null);
    complaints.push(...(await arena.fleet.stop()), ...crashes(arena));
    const evidence = await arena.evidence().catch((cause: unknown) => {
      throw new Error([...complaints, ...tailsOf(arena), 'and nothing can be read'].join('\n'), { cause });
    });
    complaints.push(...((await scenario.check?.(evidence, arena)) ?? []));
    const { violations, numbers } = checkRun(evidence, expectations);
    const logGroups = groupLogs(arena.fleet.logLines());
    const all = [
      ...[...arena.complaints, ...complaints].map((text) => ({ invariant: scenario.name, text })),
      ...violations,
      ...floods(logGroups).map((text) => ({ invariant: 'I9', text })),
    ];
    return {
      scenario: scenario.name,
      store,
      seed,
      sources: arena.sources,
      durationS: Math.round((performance.now() - startedAt) / 1_000),
      numbers,
      faults: evidence.faults,
      redisPeak,
      logLines: arena.fleet.logLines().length,
      logGroups: logGroups.slice(0, shownGroups),
      remarks: [...arena.remarks, describeLast(evidence)],
      violations: all,
      logTails: all.length === 0 ? [] : tailsOf(arena),
    };
  } finally {
    await arena.close();
  }
}

/** From the start of the processes until everything is final; what went wrong on the way is a complaint, not an end. */
async function playOut(
  scenario: Scenario,
  arena: Arena,
  expect: (more: Partial<Expectations>) => void,
): Promise<string[]> {
  try {
    if (!scenario.startsItself) await startEverybody(arena, scenario.arena?.workers ?? defaults.workers);
    expect((await scenario.run(arena)) ?? {});
    arena.tell('faults are over; waiting until every job is final');
    await settle(arena, scenario.settleLimitS * 1_000);
    return [];
  } catch (error) {
    arena.signal.throwIfAborted();
    return [error instanceof Error ? error.message : String(error)];
  }
}

export async function startEverybody(arena: Arena, workers: number): Promise<void> {
  const { fleet, receiver, store } = arena;
  if (store === 'embedded') await fleet.startUp();
  // The first one migrates; the others would wait for it.
  else await fleet.startApi();
  if (store !== 'embedded') await Promise.all(Array.from({ length: workers }, () => fleet.startWorker()));
  await receiver.trust(await fleet.client.webhookSecret());
}

async function settle(arena: Arena, limitMs: number): Promise<void> {
  let toldAt = 0;
  await arena.until(
    'every accepted job is final',
    async () => {
      const { stored, final } = await arena.progress();
      if (performance.now() - toldAt > tellEveryMs) {
        arena.tell(`${final} of ${arena.load.accepted.size} jobs are final`);
        toldAt = performance.now();
      }
      return final >= stored && final >= arena.load.accepted.size;
    },
    limitMs,
  );
  const wanted = [...arena.load.accepted.values()].filter(({ hasWebhook }) => hasWebhook).length;
  await arena.until(
    'every webhook is delivered',
    async () => {
      if (arena.store !== 'embedded' && (await bringForward(arena)) > 0) return false;
      const told = new Set(arena.receiver.events().flatMap(({ status, jobId }) => (status === 204 ? jobId : [])));
      return told.size >= wanted;
    },
    limitMs,
  );
}

/**
 * The schedule of a delivery goes on for days, and one whose entry a server lost is only missed after five minutes.
 * Nothing else is changed than the time that the product would wait; each is counted.
 * @returns how many are still to be delivered
 */
async function bringForward({ query, remarks }: Arena): Promise<number> {
  const rows = await query(`
    update waybill.webhook_deliveries set next_at = now(), queued_at = null
    where status = 'pending' and (next_at > now() + interval '${soonS} seconds' or queued_at < now() - interval '${soonS} seconds')
    returning id`);
  if (rows.length > 0) remarks.push(`${rows.length} deliveries brought forward`);
  const [pending] = await query(`select count(*)::int as n from waybill.webhook_deliveries where status = 'pending'`);
  return Number(pending?.n);
}

const crashes = ({ fleet }: Arena): string[] =>
  fleet
    .everyone()
    .filter((member) => member.hasEnded() && member.endedOnPurposeAt() === null)
    .map((member) => `${member.name} ended by itself (${member.end()})`);

/** What a crash printed, and the last lines of the log. */
const tailsOf = ({ fleet }: Arena): string[] =>
  [...Map.groupBy(fleet.logLines(), ({ name }) => name)].flatMap(([name, lines]) => {
    const isJson = ({ line }: { line: string }) => line.startsWith('{');
    const crash = lines.filter((each) => !isJson(each)).slice(0, tailLines);
    return [...crash, ...lines.filter(isJson).slice(-2)].map(({ line }) => `${name}: ${line.slice(0, tailLength)}`);
  });

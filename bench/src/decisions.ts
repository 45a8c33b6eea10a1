/**
 * What the pure decisions cost: CPU of this process per decision, against a function that does nothing. The variants
 * take turns in one run. Nothing here waits or asks a store: that is measured where it happens.
 */
import { credentialRefs } from '@waybill/shared/config/credential-refs.ts';
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import type { AttemptRecord } from '@waybill/shared/domain/attempt.ts';
import {
  admit,
  afterCounts,
  type BreakerCounts,
  type BreakerState,
  defaultBreaker,
} from '@waybill/shared/routing/breaker.ts';
import { type Candidate, candidates, type JobNeeds } from '@waybill/shared/routing/candidates.ts';
import { type DecideInput, decide } from '@waybill/shared/routing/decide.ts';
import type { Pauses } from '@waybill/shared/routing/pauses.ts';
import { type SharedState, targetFacts } from '@waybill/shared/routing/target-facts.ts';
import { figuresOf } from './statistics.ts';

const targetCount = 50;
const nowMs = 1_000_000;

interface Variant {
  readonly name: string;
  /** Decisions of one round: some milliseconds of work. */
  readonly times: number;
  /** @returns whether it decided what it must, so that none is measured that does something else */
  readonly decides: (n: number) => boolean;
}

export async function benchDecisions(rounds: number): Promise<string[]> {
  const empty: Variant = { name: 'empty function', times: 1_000_000, decides: () => true };
  const variants = [empty, breakerVariant(), ...routingVariants()];
  for (const variant of variants) cpuPerDecision(variant);
  const measured = new Map<Variant, number[]>(variants.map((variant) => [variant, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const variant of variants) measured.get(variant)?.push(cpuPerDecision(variant));
  const base = figuresOf(measured.get(empty) ?? []).median;
  return [
    ...[...measured].map(([{ name }, list]) => {
      const { median, p95 } = figuresOf(list);
      const ratio = Math.round(median / base).toLocaleString('en');
      return `${name.padEnd(58)} median ${median.toFixed(6)}  p95 ${p95.toFixed(6)} ms CPU   ${ratio}x an empty function`;
    }),
    `medians of ${rounds} rounds, each over many decisions`,
  ];
}

function cpuPerDecision({ name, times, decides }: Variant): number {
  const before = process.cpuUsage();
  let right = 0;
  for (let n = 0; n < times; n += 1) if (decides(n)) right += 1;
  const used = process.cpuUsage(before);
  if (right !== times) throw new Error(`Cannot measure: "${name}" decided otherwise ${times - right} times`);
  return (used.user + used.system) / 1_000 / times;
}

/** Both looks of a call at the breaker, before it and after it, at targets in all states in turn. */
function breakerVariant(): Variant {
  const usual = { ok: 900, failed: 100, latencyMs: 900_000 };
  const well: BreakerCounts = { consecutive: 0, ok: 90, failed: 10, latencyMs: 90_000, usual };
  const fallen: BreakerCounts = { ...well, consecutive: 5, failed: 15 };
  const outage = { cooldownMs: 60_000, why: 'failure_rate', sinceMs: nowMs - 60_000 } as const;
  const cases: readonly [BreakerState, BreakerCounts, string][] = [
    [{ kind: 'closed' }, well, 'go closed'],
    [{ kind: 'closed' }, fallen, 'go open'],
    [{ kind: 'open', untilMs: nowMs + 30_000, ...outage }, fallen, 'closed_to_calls open'],
    [{ kind: 'half_open', successes: 1, ...outage }, well, 'probe half_open'],
  ];
  const policy = { ...defaultBreaker, isAdaptive: true, latencySpike: 3 };
  return {
    name: 'breaker: admit and afterCounts',
    times: 200_000,
    decides(n) {
      const [state, counts, expected] = cases[n % cases.length] as (typeof cases)[number];
      const { kind } = admit(state, nowMs);
      return `${kind} ${afterCounts(state, counts, policy, nowMs, 0.5).kind}` === expected;
    },
  };
}

/** A chain of 50 targets of 50 providers, all paused but the last: the longest way to an answer. */
function routingVariants(): Variant[] {
  const { targets, factsOf } = openChain();
  const needs: JobNeeds = {
    capabilities: ['tools'],
    windowTokens: 2_000,
    size: { inputTokens: 1_500, outputTokens: 500 },
    require: ['eu'],
    excludeProviders: ['other'],
  };
  const last = targets.at(-1) as string;
  const find = () => candidates(targets, needs, factsOf());
  const known = find();
  const goesToLast = (found: readonly Candidate[]) => {
    const decision = decide(inputOf(targets, found));
    return decision.kind === 'fall_back' && decision.target === last;
  };
  const noneLeft = known.map(
    (each): Candidate =>
      each.kind === 'skipped'
        ? each
        : { ...each, kind: 'skipped', reason: 'paused', detail: 'paused after a failure', untilMs: nowMs + 60_000 },
  );
  return [
    {
      name: `candidates of ${targetCount} targets, facts from the settings`,
      times: 50,
      decides: () => find().filter(({ kind }) => kind === 'eligible').length === 1,
    },
    {
      name: `decide for a chain of ${targetCount} targets, the last is eligible`,
      times: 5_000,
      decides: () => goesToLast(known),
    },
    {
      name: `decide for a chain of ${targetCount} targets, none is eligible`,
      times: 2_000,
      decides: () => decide(inputOf(targets, noneLeft)).kind === 'wait',
    },
    {
      name: `routing decision for ${targetCount} targets: candidates, decide`,
      times: 50,
      decides: () => goesToLast(find()),
    },
  ];
}

function openChain() {
  const ids = Array.from({ length: targetCount }, (_, n) => `provider-${n + 1}`);
  const model = { context_window: 128_000, capabilities: ['tools', 'json_schema'] };
  const provider = (id: string) => ({
    ...{ preset: 'openai-compatible', endpoints: [`https://${id}.example/v1`], labels: ['eu'] },
    ...{ credentials: ['ONE', 'TWO'].map((account) => ({ env: `BENCH_${account}`, account })) },
    models: { chat: model },
  });
  const parsed = parseEnvironment({ BENCH_ONE: 'sk-bench-1', BENCH_TWO: 'sk-bench-2' });
  if (parsed.kind === 'faults') throw new Error(`Cannot measure: ${JSON.stringify(parsed.faults)}`);
  const file = { providers: Object.fromEntries(ids.map((id) => [id, provider(id)])) };
  const settings = settingsOf(file, parsed.environment, 'the benchmark');
  // Read once, as a worker does.
  const credentials = new Map(ids.map((id) => [id, credentialsOf(id)]));
  function credentialsOf(id: string) {
    const found = settings.providers[id];
    if (!found) throw new Error(`Cannot measure: there is no provider "${id}"`);
    return credentialRefs(found);
  }
  const pauses: Pauses = new Map(
    ids
      .slice(0, -1)
      .map((id, n) => [`model:${id}/chat`, { kind: 'model_not_found', untilMs: nowMs + 1_000 * (n + 1) }]),
  );
  const state: SharedState = {
    ...{ pauses, breakers: new Map(), switches: new Map(), windows: new Map() },
    credentialsOf: ({ id }) => credentials.get(id) ?? [],
  };
  return { targets: ids.map((id) => `${id}/chat`), factsOf: () => targetFacts(settings, state, nowMs) };
}

/** The tenth attempt of a run has failed on the first target, after nine on others. */
function inputOf(targets: readonly string[], found: readonly Candidate[]): DecideInput {
  const target = targets[0] as string;
  const history = targets.slice(1, 10).map(
    (each, index): AttemptRecord => ({
      ...{ n: index + 1, target: each, status: 'failed', failure: 'overloaded' },
      ...{ endedAtMs: nowMs - 1_000 * (10 - index), retryAtMs: null },
    }),
  );
  return {
    failure: { kind: 'overloaded', message: 'busy', httpStatus: 503, retryAfterMs: null },
    target,
    policy: {
      ...{ mode: 'graceful', sameTargetRetries: 3, maxAttempts: 20, onLimitMs: 60_000, on: {} },
      backoff: { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 'full' },
    },
    candidates: found,
    history,
    nowMs,
    deadlineAtMs: nowMs + 3_600_000,
    random: 0.5,
    isOpenElsewhere: false,
    retryInMs: 0,
    action: null,
  };
}

/**
 * What must hold after every run, whatever was done to it. One list of violations with their evidence, and the numbers
 * that are worth publishing. Pure: it reads the evidence alone.
 */
import { customIdOf, type MatchedCalls, matchCalls, overlaps, paidAgain, peaks } from './calls.ts';
import type { AttemptEvidence, Evidence, JobEvidence } from './evidence.ts';
import { type RunNumbers, readNumbers } from './numbers.ts';

export interface Expectations {
  /** Calls at once per target. */
  readonly limit: number;
  /** Jobs that may end otherwise than `succeeded`, with the kind of their failure. */
  readonly failing: ReadonlyMap<string, string>;
  readonly isEveryWebhookDelivered: boolean;
  /** From the end of a fault to the next job that ends. */
  readonly recoveryLimitS: number;
  /** From the kill of a worker to the next attempt of a job it had. */
  readonly takeoverLimitS: number;
  /** Null: the provider decides. */
  readonly longestCallMs: number | null;
}

export interface Violation {
  /** I1 to I7 of `docs/reliability.md`, or the scenario's own. */
  readonly invariant: string;
  readonly text: string;
}

export interface Findings {
  readonly violations: readonly Violation[];
  readonly numbers: RunNumbers;
}

const finalStatuses = ['succeeded', 'failed', 'cancelled', 'expired'];
/** A finding that repeats itself a thousand times needs a few examples. */
const examples = 5;

export function checkRun(evidence: Evidence, expectations: Expectations): Findings {
  const matching = matchCalls(evidence);
  const numbers = readNumbers(evidence, matching, expectations.limit);
  const rules: Readonly<Record<string, readonly string[]>> = {
    I1: [...acceptedAreFinal(evidence), ...endedAsExpected(evidence, expectations)],
    I2: oneResult(evidence),
    I3: everyCallHasItsAttempt(evidence, matching),
    I4: ledgerIsWhole(evidence),
    I5: limitsHeld(matching, expectations),
    I6: webhooksArrived(evidence, expectations),
    I7: nobodyElseIsPoisoned(evidence, expectations),
    I9: callsEnd(matching, expectations),
    I10: recovered(numbers, expectations),
    I12: paidTwiceIsExplained(evidence, matching),
  };
  const violations = Object.entries(rules).flatMap(([invariant, found]) => [
    ...found.slice(0, examples).map((text) => ({ invariant, text })),
    ...(found.length > examples ? [{ invariant, text: `and ${found.length - examples} more` }] : []),
  ]);
  return { violations, numbers };
}

function acceptedAreFinal({ accepted, contradictions, jobs }: Evidence): string[] {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const lost = [...accepted.values()].flatMap(({ customId, id }) => {
    const job = byId.get(id);
    if (!job) return [`${customId} was accepted as ${id}, which is not in the database`];
    const isFinal = finalStatuses.includes(job.status) && job.finishedAtMs !== null;
    return isFinal ? [] : [`${customId} (${id}) was accepted and is ${job.status}`];
  });
  return [...lost, ...contradictions, ...doubledJobs(jobs), ...jobs.filter(unasked(accepted)).map(describe)];
}

export const doubledJobs = (jobs: readonly JobEvidence[]): string[] =>
  [...Map.groupBy(jobs, ({ customId }) => customId)]
    .filter(([, rows]) => rows.length > 1)
    .map(([customId, rows]) => `${customId} is stored ${rows.length} times: ${rows.map(({ id }) => id).join(', ')}`);

const unasked = (accepted: Evidence['accepted']) => (job: JobEvidence) => !accepted.has(job.customId);
const describe = (job: JobEvidence): string => `${job.customId} (${job.id}, ${job.status}) was never answered with 202`;

function endedAsExpected({ jobs }: Evidence, { failing }: Expectations): string[] {
  return jobs.flatMap(({ customId, id, status, errorKind }) => {
    const kind = failing.get(customId);
    if (kind === undefined && status === 'failed') return [`${customId} (${id}) failed: ${errorKind}`];
    if (kind !== undefined && (status !== 'failed' || errorKind !== kind))
      return [`${customId} (${id}) should fail as ${kind} and is ${status} (${errorKind})`];
    return [];
  });
}

function oneResult({ jobs, attempts }: Evidence): string[] {
  const attemptsOf = Map.groupBy(attempts, ({ jobId }) => jobId);
  return jobs.flatMap((job) => {
    const own = attemptsOf.get(job.id) ?? [];
    const succeeded = own.filter(({ status, run }) => status === 'succeeded' && run === job.run);
    const open = own.filter(({ status }) => status === 'started');
    const found: string[] = [];
    if (succeeded.length > 1) found.push(`${job.id} has ${succeeded.length} succeeded attempts in run ${job.run}`);
    if (open.length > 0 && finalStatuses.includes(job.status))
      found.push(`${job.id} is ${job.status} and attempt ${open[0]?.n} is still open`);
    if (job.status === 'succeeded') {
      if (!job.hasOutput || job.outputAttempt !== succeeded[0]?.n)
        found.push(`${job.id}: output of attempt ${job.outputAttempt}, success of attempt ${succeeded[0]?.n}`);
      else if (!job.isOwnOutput) found.push(`${job.id} holds an answer to another prompt`);
    } else if (job.hasOutput || succeeded.length > 0) found.push(`${job.id} is ${job.status} and has an output`);
    return found;
  });
}

function everyCallHasItsAttempt({ calls, attempts, jobs }: Evidence, { orphans }: MatchedCalls): string[] {
  const found = orphans.map(
    ({ prompt, provider, beganAtMs }) =>
      `a call of ${provider} for "${prompt}" at ${new Date(beganAtMs).toISOString()} has no attempt of its own that was there before`,
  );
  const idOf = new Map(jobs.map(({ customId, id }) => [customId, id]));
  const counted = Map.groupBy(attempts, ({ jobId }) => jobId);
  for (const [prompt, some] of Map.groupBy(calls, (call) => call.prompt)) {
    const own = counted.get(idOf.get(customIdOf(prompt)) ?? '')?.length ?? 0;
    if (some.length > own) found.push(`${some.length} calls for "${prompt}" and ${own} attempts`);
  }
  return found;
}

function ledgerIsWhole({ attempts, ledger }: Evidence): string[] {
  const keyOf = (jobId: string, n: number) => `${jobId}#${n}`;
  const booked = Map.groupBy(ledger, ({ jobId, attempt }) => keyOf(jobId, attempt));
  const corrected = new Set(ledger.flatMap(({ correctsId }) => correctsId ?? []));
  const found: string[] = [];
  for (const attempt of attempts) {
    const key = keyOf(attempt.jobId, attempt.n);
    const rows = booked.get(key) ?? [];
    booked.delete(key);
    const [valid, ...others] = rows.filter(({ id }) => !corrected.has(id));
    if (others.length > 0) found.push(`${key} has ${others.length + 1} uncorrected rows`);
    if (rows.filter(({ correctsId }) => correctsId === null).length > 1) found.push(`${key} is booked twice`);
    if (needsRow(attempt) && !valid) found.push(`${key} is ${attempt.status} and not in the ledger`);
    if (valid && valid.costNano !== attempt.costNano)
      found.push(`${key}: the ledger says ${valid.costNano}, the attempt ${attempt.costNano}`);
    if (attempt.status === 'unknown' && (valid?.costBasis !== 'unknown' || valid.costNano !== null))
      found.push(`${key} is unknown and booked as ${valid?.costBasis} ${valid?.costNano}`);
    if (attempt.status === 'succeeded' && attempt.costNano === null) found.push(`${key} succeeded without a cost`);
  }
  for (const key of booked.keys()) found.push(`the ledger has ${key}, which is no attempt`);
  const sum = (rows: readonly { costNano: bigint | null }[]) =>
    rows.reduce((all, row) => all + (row.costNano ?? 0n), 0n);
  if (sum(ledger) !== sum(attempts)) found.push(`the ledger sums to ${sum(ledger)}, the attempts to ${sum(attempts)}`);
  return found;
}

const needsRow = ({ status }: AttemptEvidence) =>
  status === 'succeeded' || status === 'unknown' || status === 'superseded';

function limitsHeld({ matched }: MatchedCalls, { limit }: Expectations): string[] {
  const over = [...peaks(matched, false)]
    .filter(([, { open }]) => open > limit)
    .map(([target, { open, atMs }]) => {
      const at = new Date(atMs).toISOString();
      return `${open} calls of ${target} were open at ${at}, the limit is ${limit}`;
    });
  return [...over, ...overlaps(matched)];
}

function callsEnd({ matched }: MatchedCalls, { longestCallMs }: Expectations): string[] {
  if (longestCallMs === null) return [];
  return matched.flatMap(({ jobId, attempt, beganAtMs, endedAtMs }) => {
    const ms = (endedAtMs ?? Number.POSITIVE_INFINITY) - beganAtMs;
    return ms > longestCallMs
      ? [`${jobId}#${attempt.n} was called for ${ms} ms, the limit is ${longestCallMs} ms`]
      : [];
  });
}

function webhooksArrived(
  { jobs, accepted, deliveries, delivered }: Evidence,
  { isEveryWebhookDelivered }: Expectations,
): string[] {
  const rowsOf = Map.groupBy(deliveries, ({ jobId }) => jobId);
  const seenOf = Map.groupBy(delivered, ({ jobId }) => jobId);
  const found = delivered
    .filter(({ isVerified, event }) => !isVerified || event === 'trap')
    .map(
      ({ webhookId, event }) => `${webhookId}: ${event === 'trap' ? 'a redirect was followed' : 'a wrong signature'}`,
    );
  for (const job of jobs.filter(({ status }) => finalStatuses.includes(status))) {
    const expected = accepted.get(job.customId)?.hasWebhook ? 1 : 0;
    const rows = rowsOf.get(job.id) ?? [];
    const seen = seenOf.get(job.id) ?? [];
    const ids = new Set(seen.map(({ webhookId, type }) => `${webhookId} ${type}`));
    if (rows.length !== expected) found.push(`${job.id} has ${rows.length} deliveries instead of ${expected}`);
    if (ids.size > expected) found.push(`${job.id} was told as ${[...ids].join(', ')}`);
    if (rows.some(({ type }) => type !== `job.${job.status}`))
      found.push(`${job.id} is ${job.status}: ${rows[0]?.type}`);
    if (!isEveryWebhookDelivered || expected === 0) continue;
    if (!seen.some(({ status }) => status === 204)) found.push(`${job.id} was never told (${rows[0]?.status})`);
  }
  return found;
}

function nobodyElseIsPoisoned({ jobs }: Evidence, { failing }: Expectations): string[] {
  return jobs
    .filter(({ errorKind, customId }) => errorKind === 'poison_job' && failing.get(customId) !== 'poison_job')
    .map(({ id, customId }) => `${customId} (${id}) failed as poison_job`);
}

function recovered({ worstRecoveryS, worstTakeoverS }: RunNumbers, limits: Expectations): string[] {
  const found: string[] = [];
  if (worstRecoveryS !== null && worstRecoveryS > limits.recoveryLimitS)
    found.push(`the next job ended ${worstRecoveryS} s after a fault, the limit is ${limits.recoveryLimitS} s`);
  if (worstTakeoverS !== null && worstTakeoverS > limits.takeoverLimitS)
    found.push(
      `a killed worker's job was called again after ${worstTakeoverS} s, the limit is ${limits.takeoverLimitS} s`,
    );
  return found;
}

/**
 * An answer is paid twice only where a worker took it and could not say so: it was killed, stopped past its lease,
 * drained or cut off from the database. So at most the calls under way at each of those, and each has an attempt that
 * says so; or the network lost the answer that the provider had sent, or it was of no use.
 */
function paidTwiceIsExplained({ attempts }: Evidence, { matched }: MatchedCalls): string[] {
  const attemptsOf = Map.groupBy(attempts, ({ jobId }) => jobId);
  return [...paidAgain(matched)].flatMap(([jobId, times]) => {
    const explained = (attemptsOf.get(jobId) ?? []).filter(
      ({ status, failureKind }) =>
        ['unknown', 'superseded', 'aborted'].includes(status) ||
        ['timeout', 'network', 'bad_output'].includes(failureKind ?? ''),
    ).length;
    return times > explained ? [`${jobId} was paid ${times + 1} times, and ${explained} attempts say why`] : [];
  });
}

/** A queued job goes to another target, or somebody is asked first, or it ends; each is told to whoever wants to know. */
import type { StepEventType } from '@waybill/shared/domain/events.ts';
import type { FailureKind, FinalKind } from '@waybill/shared/domain/failure.ts';
import { stepPayload } from '@waybill/shared/domain/webhook-payload.ts';
import type { EntryOutcome } from '@waybill/shared/queue/queue.ts';
import { tellEnded } from '@waybill/shared/queue/tell-ended.ts';
import { type Candidate, skippedJson } from '@waybill/shared/routing/candidates.ts';
import { noteDecision, tellStep } from '@waybill/shared/store/decisions.ts';
import { failQueuedJob } from '@waybill/shared/store/job-end.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { parkQueuedJob, redirectQueuedJob } from '@waybill/shared/store/settle.ts';
import { windowsOf } from '../dispatch/windows.ts';
import type { WorkerContext } from '../worker-context.ts';
import { goOn } from './go-on.ts';

export type MoveContext = Pick<
  WorkerContext,
  'database' | 'queues' | 'coordination' | 'fleet' | 'settings' | 'logger' | 'now'
>;
/** A longer wait is for a target that comes back, perhaps sooner: then it is woken. */
const shortMs = 1_000;

type Queued = Pick<JobRow, 'id' | 'seq' | 'target'>;

export const stale: EntryOutcome = { kind: 'done', note: 'stale: the job went on without this entry' };

export async function move(
  job: Queued,
  { target, delayMs }: { readonly target: string; readonly delayMs: number },
  why: string,
  found: readonly Candidate[],
  context: MoveContext,
): Promise<EntryOutcome> {
  const windowOf = await windowsOf(context.fleet, context.settings());
  const waiting = delayMs > shortMs ? 'recovery' : delayMs > 0 ? 'backoff' : null;
  const step = { kind: 'requeue', target, delayMs, waiting, window: windowOf(target), carried: null } as const;
  const moved = await redirectQueuedJob(context.database, job.id, job.seq, step);
  if (moved === null) return stale;
  // Before it goes on: who dies in between leaves a job that the sweep finds, and nobody would find this.
  await tell('fall_back', moved, job.target, why, found, context);
  await goOn(moved, `fallback: ${why}`, delayMs, context);
  return { kind: 'failed', note: `fallback -> ${target}: ${why}` };
}

export async function park(
  job: Queued,
  target: string,
  why: string,
  found: readonly Candidate[],
  context: MoveContext,
): Promise<EntryOutcome> {
  const parked = await parkQueuedJob(context.database, job.id, job.seq, target);
  if (parked === null) return stale;
  await tell('park', parked, job.target, why, found, context);
  return { kind: 'failed', note: `awaits approval for ${target}: ${why}` };
}

type Failing = Queued & Pick<JobRow, 'require' | 'estimated_tokens'>;

const messages: Partial<Record<string, (job: Failing) => string>> = {
  poison_job: () => 'five attempts in a row ended with their worker; the job itself is the likely cause',
  requirement_unmet: (job) =>
    `no target that may be used has all labels that are required${job.require.length > 0 ? `, among them ${job.require.join(', ')}` : ''}`,
  exceeds_limit: (job) => `about ${job.estimated_tokens} tokens exceed the limit of every target`,
};

export async function fail(
  job: Failing,
  error: FailureKind | FinalKind,
  why: string,
  found: readonly Candidate[],
  context: MoveContext,
): Promise<EntryOutcome> {
  const message = messages[error]?.(job) ?? `no target may be paid for (${why})`;
  const ended = await failQueuedJob(context.database, job.id, job.seq, error, message);
  if (ended === null) return stale;
  await tellEnded(ended, context);
  const decision = { kind: 'fail', target: job.target, nextTarget: null, why, detail: skippedJson(found) } as const;
  await noteDecision(context.database, ended.job, { ...decision, configVersion: context.settings().version });
  return { kind: 'failed', note: `failed: ${error}` };
}

/** Being unable to must not stop the job. */
async function tell(
  kind: 'fall_back' | 'park',
  job: JobRow,
  from: string,
  why: string,
  found: readonly Candidate[],
  { database, logger, settings, now }: MoveContext,
): Promise<void> {
  const type: StepEventType = kind === 'park' ? 'job.awaiting_approval' : 'job.fallback';
  try {
    const decision = { kind, target: from, nextTarget: job.target, why, detail: skippedJson(found) };
    await noteDecision(database, job, { ...decision, configVersion: settings().version });
    if (job.webhook_events.includes(type))
      await tellStep(database, job, type, stepPayload(type, job, { from, to: job.target, why }, new Date(now())));
  } catch (error) {
    logger.warn({ err: error, job_id: job.id }, 'a step of a job could not be told');
  }
}

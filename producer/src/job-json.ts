/** A job as users read it: the one shape for all routes. Unknown is null, never zero. */
import { priorities, type WaitingReason } from '@waybill/shared/domain/job.ts';
import { formatUsd } from '@waybill/shared/domain/money.ts';
import { addUsage, toUsageJson, type Usage, usageSchema } from '@waybill/shared/domain/usage.ts';
import type { AttemptRow, BacklogPlace, JobRow, JobView } from '@waybill/shared/store/jobs.ts';

export interface QueuePlace {
  readonly position: number | null;
  readonly etaMs: number | null;
}

/** @param place null: the job is in no backlog. @param perSecond calls that its target ends */
export function toQueuePlace(place: BacklogPlace | null, perSecond: number): QueuePlace {
  if (place === null) return { position: null, etaMs: null };
  const rate = perSecond * place.share;
  return { position: place.position, etaMs: rate > 0 ? Math.round((place.position / rate) * 1_000) : null };
}

/** A chat completion, or a list of embeddings, which has no text. */
type OutputJson = { choices?: { message: { content: string | null } }[] };

export function toJobJson({ job, attempts, output }: JobView, place: QueuePlace = { position: null, etaMs: null }) {
  const parsed = output === null ? null : (JSON.parse(output) as OutputJson);
  return {
    id: job.id,
    object: 'job' as const,
    custom_id: job.custom_id,
    batch_id: job.batch_id,
    status: job.status,
    endpoint: job.endpoint,
    model: job.requested_model,
    target: job.target,
    priority: priorities[job.priority] ?? 'normal',
    require: job.require,
    created_at: job.created_at.toISOString(),
    run_at: iso(job.run_at),
    deadline_at: job.deadline_at.toISOString(),
    started_at: iso(job.started_at),
    finished_at: iso(job.finished_at),
    queue_ms:
      job.started_at === null
        ? null
        : Math.max(0, job.started_at.getTime() - Math.max(job.queued_at.getTime(), job.run_at?.getTime() ?? 0)),
    provider_ms: attempts.some((attempt) => attempt.duration_ms !== null)
      ? attempts.reduce((sum, attempt) => sum + (attempt.duration_ms ?? 0), 0)
      : null,
    waiting: waitingOf(job, place),
    attempts: attempts.map(toAttemptJson),
    output: parsed,
    output_text: parsed?.choices?.[0]?.message.content ?? null,
    usage: job.status === 'succeeded' ? usageOfRun(job, attempts) : null,
    cost_usd: formatUsd(attempts.reduce((sum, attempt) => sum + BigInt(attempt.cost_nano ?? 0), 0n)),
    cost_unknown_attempts: attempts.filter((attempt) => attempt.cost_basis !== null && attempt.cost_nano === null)
      .length,
    error: job.error_kind === null ? null : { kind: job.error_kind, code: job.error_kind, message: job.error_message },
    metadata: job.metadata,
    config_version: job.config_version,
    trace_id: job.trace_id,
  };
}
export type JobJson = ReturnType<typeof toJobJson>;

function toAttemptJson(attempt: AttemptRow) {
  return {
    n: attempt.n,
    run: attempt.run,
    target: attempt.target,
    status: attempt.status,
    failure:
      attempt.failure_kind === null
        ? null
        : { kind: attempt.failure_kind, message: attempt.failure_message, http_status: attempt.http_status },
    started_at: attempt.started_at.toISOString(),
    duration_ms: attempt.duration_ms,
    usage: jsonOf(usageOf(attempt)),
    cost_usd: attempt.cost_nano === null ? null : formatUsd(BigInt(attempt.cost_nano)),
    cost_basis: attempt.cost_basis,
    cost_reason: attempt.cost_reason,
    credential: attempt.credential,
    warnings: attempt.warnings === null ? [] : (JSON.parse(attempt.warnings) as string[]),
  };
}

const iso = (time: Date | null): string | null => time?.toISOString() ?? null;

const usageOf = ({ usage }: AttemptRow): Usage | null => (usage === null ? null : usageSchema.parse(JSON.parse(usage)));
const jsonOf = (usage: Usage | null) => (usage === null ? null : toUsageJson(usage));

/** An answer may have come in parts, each an attempt of its own. Unknown when that of one of them is. */
function usageOfRun(job: JobRow, attempts: readonly AttemptRow[]) {
  const parts = attempts
    .filter((attempt) => attempt.status === 'succeeded' && attempt.run === job.run)
    .map((attempt) => usageOf(attempt));
  return parts.length === 0
    ? null
    : jsonOf(parts.reduce((sum, part) => (sum === null || part === null ? null : addUsage(sum, part))));
}

/** A queued job always says what it waits for. */
function waitingOf(
  job: JobRow,
  place: QueuePlace,
): { reason: WaitingReason; until: string | null; position: number | null; eta_ms: number | null } | null {
  if (job.status === 'awaiting_approval')
    return { reason: 'approval', until: iso(job.waiting_until), position: null, eta_ms: null };
  if (job.status !== 'queued') return null;
  const isScheduled = job.waiting_reason === null && job.run_at !== null && job.run_at.getTime() > Date.now();
  const reason = job.waiting_reason ?? (isScheduled ? 'schedule' : 'turn');
  return {
    reason,
    until: iso(job.waiting_until ?? (isScheduled ? job.run_at : null)),
    position: place.position,
    eta_ms: place.etaMs,
  };
}

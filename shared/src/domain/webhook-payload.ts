/** What a receiver is told of a job's end. Thin: it fetches the output when it wants it. */
import type { JobEventType, StepEventType } from './events.ts';
import { formatUsd } from './money.ts';
import { toUsageJson, type Usage } from './usage.ts';

export interface EndedJobFacts {
  readonly id: string;
  readonly custom_id: string | null;
  readonly batch_id: string | null;
  readonly status: string;
  readonly target: string;
  readonly error_kind: string | null;
  readonly error_message: string | null;
  readonly metadata: Record<string, string>;
}

export interface EndedJobCost {
  readonly nano: bigint;
  /** Attempts whose cost nobody knows. */
  readonly unknown: number;
  /** Of the attempts that delivered, the parts of the answer together; null: unknown, or nothing was delivered. */
  readonly usage: Usage | null;
}

/** JSON text, as it is signed and sent. */
export function webhookPayload(type: JobEventType, job: EndedJobFacts, cost: EndedJobCost, at: Date): string {
  return JSON.stringify({
    type,
    timestamp: at.toISOString(),
    data: {
      id: job.id,
      custom_id: job.custom_id,
      batch_id: job.batch_id,
      status: job.status,
      target: job.status === 'succeeded' ? job.target : null,
      usage: cost.usage === null ? null : toUsageJson(cost.usage),
      cost_usd: formatUsd(cost.nano),
      cost_unknown_attempts: cost.unknown,
      error: job.error_kind === null ? null : { kind: job.error_kind, message: job.error_message },
      metadata: job.metadata,
    },
  });
}

export interface Step {
  readonly from: string;
  readonly to: string;
  readonly why: string;
}

/** JSON text of a step on the way: where the job was, where it goes or would go, and why. */
export function stepPayload(
  type: StepEventType,
  job: Omit<EndedJobFacts, 'status' | 'target'>,
  step: Step,
  at: Date,
): string {
  return JSON.stringify({
    type,
    timestamp: at.toISOString(),
    data: {
      id: job.id,
      custom_id: job.custom_id,
      batch_id: job.batch_id,
      status: type === 'job.fallback' ? 'queued' : 'awaiting_approval',
      target: step.from,
      next_target: step.to,
      reason: step.why,
      metadata: job.metadata,
    },
  });
}

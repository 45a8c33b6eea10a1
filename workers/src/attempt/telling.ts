/** What the receiver is told when an attempt ends its job. The row is written with the settle, or not at all. */
import { eventId } from '@waybill/shared/domain/events.ts';
import type { Usage } from '@waybill/shared/domain/usage.ts';
import { webhookPayload } from '@waybill/shared/domain/webhook-payload.ts';
import type { PriorCost } from '@waybill/shared/store/claim.ts';
import { eventOf } from '@waybill/shared/store/deliveries.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { type AttemptEnd, finalStatusOf, type NextStep, type Telling } from '@waybill/shared/store/settle.ts';
import { totalUsage } from './carried.ts';

/** What earlier attempts cost, and what those of this run used that delivered a part of the answer. */
export interface Prior extends PriorCost {
  readonly parts: readonly (Usage | null)[];
}

/** null: the job goes on, or nobody asked. */
export function tellingOf(job: JobRow, end: AttemptEnd, next: NextStep, prior: Prior, nowMs: number): Telling | null {
  if (next.kind === 'requeue' || job.webhook_endpoint_id === null) return null;
  const status = finalStatusOf(next);
  const type = eventOf[status];
  if (type === undefined) return null;
  const ended = {
    ...job,
    status,
    error_kind: next.kind === 'fail' ? next.error : null,
    error_message: next.kind === 'fail' ? next.message : null,
  };
  const cost = {
    nano: prior.nano + (end.cost.nano ?? 0n),
    unknown: prior.unknown + (end.cost.nano === null ? 1 : 0),
    usage: status === 'succeeded' ? prior.parts.reduce(totalUsage, end.usage) : null,
  };
  return { eventId: eventId(job.id, job.run, type), type, payload: webhookPayload(type, ended, cost, new Date(nowMs)) };
}

/** What the receiver is told when an attempt ends its job. The row is written with the settle, or not at all. */
import { eventId } from '@waybill/shared/domain/events.ts';
import type { Usage } from '@waybill/shared/domain/usage.ts';
import { stepPayload, webhookPayload } from '@waybill/shared/domain/webhook-payload.ts';
import type { PriorCost } from '@waybill/shared/store/claim.ts';
import { eventOf } from '@waybill/shared/store/deliveries.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { type AttemptEnd, finalStatusOf, type NextStep, type Telling } from '@waybill/shared/store/settle.ts';
import { totalUsage } from './carried.ts';
import type { Conclusion } from './conclude.ts';

/** What earlier attempts cost, and what those of this run used that delivered a part of the answer. */
export interface Prior extends PriorCost {
  readonly parts: readonly (Usage | null)[];
}

/** null: nobody asked for what happens now. */
export function tellingOf(
  job: JobRow,
  { end, next, decided }: Conclusion,
  prior: Prior,
  nowMs: number,
): Telling | null {
  if (job.webhook_endpoint_id === null) return null;
  if (next.kind === 'requeue' || next.kind === 'park') return stepOf(job, end, next, decided?.why ?? '', nowMs);
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

type Step = Extract<NextStep, { kind: 'requeue' | 'park' }>;

/** The id of such an event is made where the entry's number is known, with the settle. */
function stepOf(job: JobRow, end: AttemptEnd, next: Step, why: string, nowMs: number): Telling | null {
  const type = next.kind === 'park' ? 'job.awaiting_approval' : 'job.fallback';
  if (!job.webhook_events.includes(type) || (next.kind === 'requeue' && next.target === end.target)) return null;
  const payload = stepPayload(type, job, { from: end.target, to: next.target, why }, new Date(nowMs));
  return { eventId: '', type, payload };
}

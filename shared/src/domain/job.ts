/** The words of a job's life. Every other module takes them from here. */
export const jobStatuses = [
  'queued',
  'in_progress',
  'awaiting_approval',
  'succeeded',
  'failed',
  'cancelled',
  'expired',
] as const;
export type JobStatus = (typeof jobStatuses)[number];

const finalStatuses: ReadonlySet<JobStatus> = new Set(['succeeded', 'failed', 'cancelled', 'expired']);
export const isFinal = (status: JobStatus): boolean => finalStatuses.has(status);

export const waitingReasons = [
  'rate_limit',
  'budget',
  'breaker',
  'backoff',
  'approval',
  'schedule',
  'turn',
  'conversation',
  'paused',
  'recovery',
] as const;
export type WaitingReason = (typeof waitingReasons)[number];

/** What was decided about a job, for whoever asks why. */
export const decisionKinds = [
  'routed',
  'fall_back',
  'wait',
  'retry',
  'park',
  'approve',
  'refuse',
  'fail',
  'pause',
  'resume',
] as const;
export type DecisionKind = (typeof decisionKinds)[number];

/** Dispatch order: interactive before normal before bulk. The number is stored and is the queue's priority. */
export const priorities = ['interactive', 'normal', 'bulk'] as const;
export type Priority = (typeof priorities)[number];
export const priorityRank = (priority: Priority): number => priorities.indexOf(priority);

/** How long a job may live when it does not say, in milliseconds. */
export const defaultExpiryMs: Readonly<Record<Priority, number>> = {
  interactive: 10 * 60_000,
  normal: 24 * 3_600_000,
  bulk: 7 * 86_400_000,
};

export const endpoints = ['/v1/chat/completions', '/v1/embeddings'] as const;
export type Endpoint = (typeof endpoints)[number];

/** A target is `provider/model`; the model itself may hold further slashes. */
export function splitTarget(target: string): { provider: string; model: string } {
  const slash = target.indexOf('/');
  return { provider: target.slice(0, slash), model: target.slice(slash + 1) };
}

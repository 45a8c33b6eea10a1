/** Events users can be told of. Ids are a function of what happened, so that telling twice is telling once. */
export const jobEventTypes = ['job.succeeded', 'job.failed', 'job.cancelled', 'job.expired'] as const;
export type JobEventType = (typeof jobEventTypes)[number];
/** Of steps on the way: told to those who ask for them. */
export const stepEventTypes = ['job.fallback', 'job.awaiting_approval'] as const;
export type StepEventType = (typeof stepEventTypes)[number];

/** No dot in an event id: Standard Webhooks signs `id.timestamp.body`. */
export function eventId(jobId: string, run: number, type: JobEventType): string {
  return `evt_${jobId.slice(4)}_${run}_${type.slice(4)}`;
}

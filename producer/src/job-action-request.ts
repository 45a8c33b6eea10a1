/** `POST /v1/jobs/actions` as users write it: what to do, to which jobs. */
import { durationSchema } from '@waybill/shared/domain/duration.ts';
import { jobStatuses, priorities, priorityRank } from '@waybill/shared/domain/job.ts';
import type { ProblemCode } from '@waybill/shared/domain/problem.ts';
import { faultsOf, strictObject } from '@waybill/shared/domain/strict-object.ts';
import { type JobAction, jobActions } from '@waybill/shared/store/job-actions.ts';
import type { JobSelection } from '@waybill/shared/store/job-selection.ts';
import { z } from 'zod';
import { problemOf } from './problems.ts';

export const maxActionIds = 1_000;
/** One request changes no more than this; the cursor goes on. */
export const maxActionJobs = 10_000;

const as = (code: ProblemCode, message: string) => ({ message, params: { code } });
const isStorable = (text: string): boolean => text.isWellFormed() && !/\p{Cc}/u.test(text);
const text = z
  .string()
  .min(1)
  .max(512)
  .refine(isStorable, as('control_character', 'the text holds a control character or half a surrogate pair'));

const time = z.string().transform((written, context) => {
  const isTime = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)$/.test(written);
  const at = isTime ? Date.parse(written) : Number.NaN;
  if (!Number.isNaN(at)) return new Date(at);
  context.addIssue({
    code: 'custom',
    ...as(
      'invalid_timestamp',
      `expected a time such as "2026-12-01T09:00:00Z", received ${JSON.stringify(written.slice(0, 40))}`,
    ),
  });
  return z.NEVER;
});

const filter = strictObject({
  all: z.literal(true).nullish(),
  ids: z
    .array(text)
    .min(1)
    .refine(
      (list) => list.length <= maxActionIds,
      as('too_many_items', `at most ${maxActionIds} ids are taken at once`),
    )
    .nullish(),
  batch_id: text.nullish(),
  status: z.enum(jobStatuses).nullish(),
  target: text.nullish(),
  provider: text.nullish(),
  model: text.nullish(),
  chain: text.nullish(),
  priority: z.enum(priorities).nullish(),
  metadata: z
    .record(
      text,
      z.string().max(512).refine(isStorable, as('control_character', 'the value holds a control character')),
    )
    .nullish(),
  created_before: time.nullish(),
  created_after: time.nullish(),
  older_than: durationSchema({ min: 0 }).nullish(),
  error_kind: text.nullish(),
});
type Filter = z.infer<typeof filter>;

const isSet = (value: unknown): boolean =>
  value !== undefined &&
  value !== null &&
  !(typeof value === 'object' && Object.keys(value).length === 0 && !(value instanceof Date));
const namesOf = (given: Filter): string[] =>
  Object.entries(given)
    .filter(([, value]) => isSet(value))
    .map(([name]) => name);

const request = strictObject({
  action: z.enum(jobActions),
  filter: filter.superRefine((given, context) => {
    const names = namesOf(given);
    const refuse = (message: string) => context.addIssue({ code: 'custom', ...as('invalid_value', message) });
    if (names.length === 0) refuse('the filter is empty; {"all": true} acts on all of your jobs');
    else if (given.all && names.length > 1)
      refuse(`"all" stands alone; remove it, or ${names.filter((name) => name !== 'all').join(', ')}`);
  }),
  model: z.string().min(1).max(256).nullish(),
  limit: z.int().min(1).max(maxActionJobs).nullish(),
  cursor: z.string().min(1).nullish(),
}).refine(({ action, model }) => action === 'retry' || (model ?? null) === null, {
  path: ['model'],
  ...as('invalid_value', 'only a retry takes another model; jobs are chosen by filter.model'),
});

export interface JobActionRequest {
  readonly action: JobAction;
  readonly filter: Filter;
  /** For a retry: another chain or target. */
  readonly model: string | null;
  readonly limit: number;
  readonly cursor: string | null;
  /** What a cursor belongs to: the action and its filter, as text. */
  readonly meaning: string;
}

/** @throws Problem that names the field */
export function parseJobAction(body: unknown): JobActionRequest {
  const parsed = request.safeParse(body);
  if (!parsed.success) throw problemOf(faultsOf(parsed.error), 'act on jobs');
  const { action, filter: given, limit, cursor } = parsed.data;
  const model = parsed.data.model ?? null;
  return {
    ...{ action, filter: given, model, limit: limit ?? maxActionJobs, cursor: cursor ?? null },
    meaning: JSON.stringify([action, given, model]),
  };
}

/** @param beganAt ages count from here, however many requests the action takes */
export function selectionOf(given: Filter, beganAt: Date): JobSelection {
  const oldEnough = given.older_than == null ? null : new Date(beganAt.getTime() - given.older_than);
  const before = [given.created_before ?? null, oldEnough].filter((each) => each !== null);
  return {
    ids: given.ids ?? null,
    batchId: given.batch_id ?? null,
    status: given.status ?? null,
    target: given.target ?? null,
    provider: given.provider ?? null,
    model: given.model ?? null,
    chain: given.chain ?? null,
    priority: given.priority == null ? null : priorityRank(given.priority),
    metadata: given.metadata ?? {},
    createdAfter: given.created_after ?? null,
    createdBefore: before.toSorted((a, b) => a.getTime() - b.getTime())[0] ?? null,
    errorKind: given.error_kind ?? null,
  };
}

const retryRequest = strictObject({ model: z.string().min(1).max(256).nullish() });

/** The body of `POST /v1/jobs/:id/retry`: another model for the job, or null. @throws Problem */
export function parseRetry(body: unknown): string | null {
  const parsed = retryRequest.safeParse(body);
  if (!parsed.success) throw problemOf(faultsOf(parsed.error), 'retry the job');
  return parsed.data.model ?? null;
}

/**
 * A job as users write it: the same object in `POST /v1/jobs`, in bulk, in a JSONL file and on the command line.
 *
 * A field that is accepted is obeyed; one of the design that is not built yet is refused by name.
 */
import { chatRequestSchema } from '@waybill/shared/chat/request.ts';
import { durationSchema } from '@waybill/shared/domain/duration.ts';
import { type StepEventType, stepEventTypes } from '@waybill/shared/domain/events.ts';
import { type Endpoint, endpoints, type Priority, priorities } from '@waybill/shared/domain/job.ts';
import { parseUsd } from '@waybill/shared/domain/money.ts';
import type { ProblemCode } from '@waybill/shared/domain/problem.ts';
import { strictObject } from '@waybill/shared/domain/strict-object.ts';
import { embeddingsRequestSchema } from '@waybill/shared/embeddings/request.ts';
import type { JobBody } from '@waybill/shared/routing/request-needs.ts';
import { z } from 'zod';

type Refine = (code: ProblemCode, message: string) => { message: string; params: { code: ProblemCode } };
const as: Refine = (code, message) => ({ message, params: { code } });
const isVisible = (text: string): boolean => !/[\p{Cc}\p{Cf}]/u.test(text);

const customId = z
  .string()
  .min(1)
  .max(512)
  .refine((text) => text.isWellFormed(), as('invalid_unicode', 'custom_id holds half a surrogate pair'))
  .refine(isVisible, as('control_character', 'custom_id holds an invisible or control character'));

const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty']);
/** Metadata travels in webhooks, whose bodies stay under 20 KB. */
const maxMetadataBytes = 12 * 1_024;
const metadata = z.record(z.string(), z.unknown()).transform((record, context): Record<string, string> => {
  const refuse = (code: ProblemCode, message: string) => {
    context.addIssue({ code: 'custom', ...as(code, message) });
    return z.NEVER;
  };
  const entries = Object.entries(record);
  if (Buffer.byteLength(JSON.stringify(record)) > maxMetadataBytes)
    return refuse('metadata_limit', `metadata is larger than ${maxMetadataBytes} bytes`);
  if (entries.length > 16) return refuse('metadata_limit', `at most 16 keys are allowed, received ${entries.length}`);
  for (const [key, value] of entries) {
    if (forbiddenKeys.has(key)) return refuse('forbidden_key', `the key "${key}" is not allowed`);
    if (key.length === 0 || key.length > 64) return refuse('metadata_limit', 'a key has 1 to 64 characters');
    if (typeof value !== 'string')
      return refuse('metadata_limit', `the value of "${key.slice(0, 64)}" must be a string`);
    if (value.length > 512)
      return refuse('metadata_limit', `the value of "${key.slice(0, 64)}" is longer than 512 characters`);
    if (!key.isWellFormed() || !value.isWellFormed())
      return refuse('invalid_unicode', 'a key or value holds half a surrogate pair');
    if (!isVisible(key) || value.includes('\u0000'))
      return refuse('control_character', 'a key or value holds a control character');
  }
  return record as Record<string, string>;
});

const name = z
  .string()
  .min(1)
  .max(64)
  .refine((text) => text.isWellFormed(), as('invalid_unicode', 'a name holds half a surrogate pair'))
  .refine(isVisible, as('control_character', 'a name holds an invisible or control character'));
const names = (what: string) => z.array(name).max(20, `at most 20 ${what} are allowed`);
const maxAheadMs = 30 * 86_400_000;
const maxBehindMs = 60_000;

const runAt = z.string().transform((text, context) => {
  const at = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  const ahead = at - Date.now();
  if (Number.isNaN(at) || ahead < -maxBehindMs || ahead > maxAheadMs) {
    context.addIssue({
      code: 'custom',
      ...as(
        'invalid_timestamp',
        `expected a time such as "2026-12-01T09:00:00Z", from now to 30 days ahead, received ${JSON.stringify(text.slice(0, 40))}`,
      ),
    });
    return z.NEVER;
  }
  return new Date(at);
});

const endpoint = z.string().transform((path, context): Endpoint => {
  const known = endpoints.find((each) => each === path);
  if (known) return known;
  context.addIssue({
    code: 'custom',
    ...as('unsupported_endpoint', `this version takes jobs for ${endpoints.join(', ')}`),
  });
  return z.NEVER;
});

/** Money is a decimal string; a number is taken too. */
const maxCost = z.union([z.string(), z.number()]).transform((value, context): bigint => {
  const nano = parseUsd(String(value));
  if (nano !== null && nano >= 0n) return nano;
  const shown = JSON.stringify(value).slice(0, 40);
  context.addIssue({ code: 'custom', ...as('out_of_range', `expected US dollars such as "0.05", received ${shown}`) });
  return z.NEVER;
});

const conversationId = z
  .string()
  .min(1)
  .max(200)
  .refine((text) => text.isWellFormed(), as('invalid_unicode', 'conversation holds half a surrogate pair'))
  .refine(isVisible, as('control_character', 'conversation holds an invisible or control character'));

const options = {
  custom_id: customId.nullish(),
  priority: z.enum(priorities).nullish(),
  require: names('labels').nullish(),
  exclude_providers: names('providers').nullish(),
  attempt_timeout: durationSchema({ min: 1_000, max: 24 * 3_600_000 }).nullish(),
  expires_in: durationSchema({ min: 1_000 }).nullish(),
  run_at: runAt.nullish(),
  webhook_url: z.string().min(1).nullish(),
  metadata: metadata.nullish(),
  max_cost_usd: maxCost.nullish(),
  conversation: conversationId.nullish(),
  webhook_events: z.array(z.enum(stepEventTypes)).max(stepEventTypes.length).nullish(),
};

function hasReceiver({
  webhook_url: url,
  webhook_events: events,
}: Readonly<{
  webhook_url?: string | null | undefined;
  webhook_events?: readonly string[] | null | undefined;
}>): boolean {
  return !events?.length || !!url;
}
const withoutReceiver = {
  path: ['webhook_events'],
  ...as('invalid_value', 'nobody would be told of them: give a webhook_url too'),
};

const line = strictObject({
  ...options,
  method: z.literal('POST').nullish(),
  url: endpoint.nullish(),
  endpoint: endpoint.nullish(),
  body: z.unknown(),
})
  .refine(
    ({ url, endpoint: named }) => !url || !named || url === named,
    as('invalid_value', '"url" is another name of "endpoint": give one of them'),
  )
  .refine(hasReceiver, withoutReceiver)
  .refine(({ url, endpoint: named, conversation }) => !conversation || (named ?? url) !== '/v1/embeddings', {
    path: ['conversation'],
    ...as('invalid_value', 'embeddings have no history: only chat completions have conversations'),
  });

const bodies = { '/v1/chat/completions': chatRequestSchema, '/v1/embeddings': embeddingsRequestSchema } as const;
const shorthand = strictObject({ ...options, model: z.string().min(1).max(256), prompt: z.string() }).refine(
  hasReceiver,
  withoutReceiver,
);

export interface JobRequest {
  readonly customId: string | null;
  readonly body: JobBody;
  readonly priority: Priority;
  readonly require: readonly string[];
  readonly excludeProviders: readonly string[];
  readonly attemptTimeoutMs: number | null;
  readonly expiresInMs: number | null;
  readonly runAt: Date | null;
  readonly webhookUrl: string | null;
  /** Steps that the receiver is told of, besides the end. */
  readonly webhookEvents: readonly StepEventType[];
  readonly maxCostNano: bigint | null;
  readonly conversation: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

type Parsed =
  | { readonly kind: 'ok'; readonly job: JobRequest }
  | { readonly kind: 'faults'; readonly error: z.core.$ZodError };

/** `{ "model": …, "prompt": … }` is short for a body with one user message. */
export function parseJobRequest(value: unknown): Parsed {
  // Without a body it can only be the short form: its errors then name the fields that were meant.
  const isShort =
    typeof value === 'object' && value !== null && !('body' in value) && ('prompt' in value || 'model' in value);
  if (!isShort) {
    return parseLine(value);
  }
  const parsed = shorthand.safeParse(value);
  if (!parsed.success) return { kind: 'faults', error: parsed.error };
  const { model, prompt, ...rest } = parsed.data;
  const body = chatRequestSchema.safeParse({ model, messages: [{ role: 'user', content: prompt }] });
  if (!body.success) return { kind: 'faults', error: body.error };
  return { kind: 'ok', job: toJob(rest, { endpoint: '/v1/chat/completions', request: body.data }) };
}

/** The faults of the line and of its body, all at once. */
function parseLine(value: unknown): Parsed {
  const parsed = line.safeParse(value);
  const { url, endpoint: named, body: written } = (value ?? {}) as Record<string, unknown>;
  const path = endpoints.find((each) => each === (named ?? url)) ?? '/v1/chat/completions';
  const body = bodies[path].safeParse(written);
  const issues = [
    ...(parsed.error?.issues ?? []),
    ...(body.error?.issues ?? []).map((issue) => ({ ...issue, path: ['body', ...issue.path] })),
  ];
  if (!parsed.success || !body.success) return { kind: 'faults', error: new z.core.$ZodRealError(issues) };
  return { kind: 'ok', job: toJob(parsed.data, { endpoint: path, request: body.data } as JobBody) };
}

function toJob(data: Omit<z.infer<typeof shorthand>, 'model' | 'prompt'>, body: JobBody): JobRequest {
  return {
    customId: data.custom_id ?? null,
    body,
    priority: data.priority ?? 'normal',
    require: data.require ?? [],
    excludeProviders: data.exclude_providers ?? [],
    attemptTimeoutMs: data.attempt_timeout ?? null,
    expiresInMs: data.expires_in ?? null,
    runAt: data.run_at ?? null,
    webhookUrl: data.webhook_url ?? null,
    webhookEvents: data.webhook_events ?? [],
    maxCostNano: data.max_cost_usd ?? null,
    conversation: data.conversation ?? null,
    metadata: data.metadata ?? {},
  };
}

/**
 * The configuration file: the only source of its types, its errors and its reference page.
 *
 * An unknown field is an error that names the closest known one; a field of the design that is not built yet is
 * refused as `not_supported_yet` by its name. Unset and neutral values pass.
 */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { capabilities } from '../chat/capabilities.ts';
import { chatParamsSchema } from '../chat/request.ts';
import { durationSchema } from '../domain/duration.ts';
import { failureKinds } from '../domain/failure.ts';
import { parseUsd } from '../domain/money.ts';
import { nearestHint, notSupportedYet, strictObject } from '../domain/strict-object.ts';
import { unreadFileRules } from '../privacy/content-strings.ts';
import { detectorKinds } from '../privacy/detectors.ts';
import { presetIds } from '../providers/presets.ts';
import { quirksFileSchema } from '../providers/quirks.ts';
import { budgetSubjects } from '../routing/budgets.ts';

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
const only = (expected: unknown) => (value: unknown) => JSON.stringify(value) === JSON.stringify(expected);

/** A key's own rule says more than "invalid key in record". */
const keyRule = {
  error: (issue: { code?: string; issues?: unknown }) => {
    const [first] = issue.code === 'invalid_key' ? (issue.issues as { message: string }[]) : [];
    return first?.message;
  },
};
const failureKindRule = {
  error: (issue: { code?: string; keys?: unknown }) =>
    issue.code === 'unrecognized_keys'
      ? (issue.keys as string[])
          .map((key) => `unknown failure kind "${key.slice(0, 64)}"${nearestHint(key, failureKinds)}`)
          .join(', ')
      : undefined,
};

export const providerIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'a provider id has 1 to 40 of a-z 0-9 -, and begins with a letter or digit');
const labelSchema = z.string().regex(/^[a-z0-9_-]{1,40}$/, 'a label has 1 to 40 of a-z 0-9 _ -');
const chainIdSchema = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'a chain name has 1 to 64 of A-Z a-z 0-9 _ . -');
export const targetSchema = z
  .string()
  .max(256)
  .regex(/^[a-z0-9][a-z0-9-]{0,39}\/\S+$/, 'a target is provider/model, such as "openai/gpt-4.1-mini"');

const usdSchema = z.union([z.string(), z.number()]).transform((value, context) => {
  const nano = parseUsd(String(value));
  if (nano !== null) return nano;
  context.addIssue({
    code: 'custom',
    message: `expected US dollars such as "0.40", received ${JSON.stringify(value)}`,
    params: { code: 'out_of_range' },
  });
  return z.NEVER;
});

const endpointSchema = z
  .url({ protocol: /^https?$/, error: 'expected an http or https address' })
  .refine(
    (url) => !new URL(url).username && !new URL(url).password,
    'an address holds no user name or password; use credentials',
  )
  .transform((url) => url.replace(/\/+$/, ''));

/** No space and no slash: both names are part of keys. */
const accountSchema = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'an account has 1 to 64 of A-Z a-z 0-9 _ . -');
export const credentialNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'the name of a credential has 1 to 64 of A-Z a-z 0-9 _ . -');

const credentialSchema = strictObject({
  env: z.string().min(1).optional(),
  file: z.string().min(1).optional(),
  stored: credentialNameSchema.optional(),
  /** What the provider limits: credentials of one account share its limits. */
  account: accountSchema.optional(),
}).refine(
  ({ env, file, stored }) => [env, file, stored].filter((source) => source !== undefined).length === 1,
  'name one source: env, file or stored',
);

const concurrencySchema = z.int().min(1).max(300);

/** null: no limit, also where the provider has one for its other models. */
const rateSchema = z.int().min(1).max(1_000_000_000_000).nullable();

/** For each account and model; `concurrency` for each address too. */
const limitsSchema = strictObject({
  concurrency: concurrencySchema.optional(),
  rpm: rateSchema.optional(),
  tpm: rateSchema.optional(),
  rpd: rateSchema.optional(),
  tpd: rateSchema.optional(),
  input_tpm: rateSchema.optional(),
  output_tpm: rateSchema.optional(),
});

export const timeoutsSchema = strictObject({
  connect: durationSchema({ min: 100, max: 60_000 }).optional(),
  first_byte: durationSchema({ min: 100, max: 3_600_000 }).optional(),
  idle: durationSchema({ min: 100, max: 3_600_000 }).optional(),
  total: durationSchema({ min: 1_000, max: 24 * 3_600_000 }).optional(),
});

const modelSchema = strictObject({
  limits: limitsSchema.optional(),
  /** Azure's name for it; elsewhere, another name than the one in targets. */
  deployment: z.string().min(1).max(200).optional(),
  defaults: chatParamsSchema.optional(),
  context_window: z.int().min(1).max(100_000_000).optional(),
  capabilities: z.array(z.enum(capabilities)).optional(),
  input_usd_per_million: usdSchema.optional(),
  output_usd_per_million: usdSchema.optional(),
}).refine((model) => (model.input_usd_per_million === undefined) === (model.output_usd_per_million === undefined), {
  error: 'give both input_usd_per_million and output_usd_per_million, or neither',
});

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,64}$/, 'the name of a header has 1 to 64 of A-Z a-z 0-9 -')
  .refine(
    (name) =>
      !['host', 'content-length', 'content-type', 'transfer-encoding', 'connection'].includes(name.toLowerCase()),
    'this header is written by Waybill itself',
  );

const healthSchema = strictObject({
  every: durationSchema({ min: 1_000, max: 3_600_000 }).optional(),
  timeout: durationSchema({ min: 100, max: 60_000 }).optional(),
  failures_to_unhealthy: z.int().min(1).max(100).optional(),
  successes_to_recover: z.int().min(1).max(100).optional(),
  /** Of the last 100 calls. */
  least_success_rate: z.number().min(0).max(1).optional(),
  probe: z.boolean().optional(),
});

const providerSchema = strictObject({
  preset: z.enum(presetIds as [string, ...string[]]).optional(),
  enabled: z.boolean().optional(),
  endpoints: z
    .array(z.union([endpointSchema, strictObject({ url: endpointSchema, concurrency: concurrencySchema.optional() })]))
    .min(1)
    .max(16)
    .refine(
      (endpoints) =>
        new Set(endpoints.map((each) => (typeof each === 'string' ? each : each.url))).size === endpoints.length,
      'an address is named twice',
    )
    .optional(),
  base_url: endpointSchema.optional(),
  credentials: z.array(credentialSchema).max(32).optional(),
  api_key: z.string().min(1).max(512).optional(),
  labels: z.array(labelSchema).max(20).optional(),
  limits: limitsSchema.optional(),
  timeouts: timeoutsSchema.optional(),
  organization: z.string().min(1).max(256).optional(),
  project: z.string().min(1).max(256).optional(),
  api_version: z
    .string()
    .regex(/^[\w.-]{1,40}$/, 'expected a version such as "2024-10-21"')
    .optional(),
  headers: z.record(headerName, z.string().max(4_096), keyRule).optional(),
  quirks: quirksFileSchema.optional(),
  health: healthSchema.optional(),
  models: z.record(z.string().min(1).max(200), modelSchema, keyRule).optional(),
})
  .refine(
    (provider) => provider.base_url === undefined || provider.endpoints === undefined,
    'base_url is another name of endpoints: give one of them',
  )
  .refine(
    (provider) => provider.api_key === undefined || provider.credentials === undefined,
    'api_key is another form of credentials: give one of them',
  );

export const strategies = ['ordered', 'cheapest', 'fastest', 'balanced', 'round_robin', 'scored'] as const;
export const modes = ['graceful', 'immediate', 'manual'] as const;
export const modeSchema = z.enum(modes);
const share = z.number().min(0).max(1);

const targetRule = {
  error:
    'a target is provider/model, such as "openai/gpt-4.1-mini", or an object with its "target", "weight" and "params"',
};
const chainTargetSchema = z
  .union(
    [
      targetSchema,
      strictObject({
        target: targetSchema,
        /** Of the targets it is balanced with. */
        weight: z.number().min(0.01).max(1_000).optional(),
        params: chatParamsSchema.optional(),
      }),
    ],
    targetRule,
  )
  .transform((item) =>
    typeof item === 'string'
      ? { target: item, weight: 1, params: {} }
      : { target: item.target, weight: item.weight ?? 1, params: item.params ?? {} },
  );
/** A list within the list is a tier: its targets are balanced, before the next item's turn. */
const chainItemSchema = z
  .union([chainTargetSchema, z.array(chainTargetSchema).min(1).max(16)], targetRule)
  .transform((item) => (Array.isArray(item) ? item : [item]));

const patience = z.union([z.literal('wait').transform(() => null), durationSchema()], {
  error: 'expected "wait", or a duration with a unit such as "30s"',
});

export const chainSchema = strictObject({
  targets: z.array(chainItemSchema).min(1).max(32),
  strategy: z.enum(strategies).optional(),
  /** What `scored` weighs. */
  score: strictObject({ cost: share.optional(), latency: share.optional(), reliability: share.optional() }).optional(),
  mode: modeSchema.optional(),
  same_target_retries: z.int().min(0).max(20).optional(),
  max_attempts: z.int().min(1).max(100).optional(),
  on_limit: strictObject({
    interactive: patience.optional(),
    normal: patience.optional(),
    bulk: patience.optional(),
  }).optional(),
  /** Where a job goes whose target is not available: the next of the chain, or the cheapest that is left. */
  on_unavailable: z.enum(['next', 'cheapest']).optional(),
  backoff: strictObject({
    initial: durationSchema({ min: 1, max: 600_000 }).optional(),
    factor: z.number().min(1).max(10).optional(),
    max: durationSchema({ min: 1, max: 3_600_000 }).optional(),
    jitter: z.enum(['full', 'none']).optional(),
  }).optional(),
  on: z
    .partialRecord(
      z.enum(failureKinds as [string, ...string[]]),
      z.enum(['retry', 'fallback', 'fail']),
      failureKindRule,
    )
    .optional(),
  timeouts: timeoutsSchema.optional(),
  /** What an answer that was cut by its length becomes. */
  on_length: z.enum(['accept', 'fallback', 'fail']).optional(),
  /** What becomes of the text of a stream that broke: begin again, or hand it to the next target to go on from. */
  resume: z.enum(['restart', 'continue']).optional(),
  /** What answers when no target did. */
  last_resort: strictObject({ content: z.string().min(1).max(10_000) }).optional(),
});

/** A name that stands for the chain of a request's class. */
const classifySchema = strictObject({
  vision: chainIdSchema.optional(),
  tools: chainIdSchema.optional(),
  short: chainIdSchema.optional(),
  long: chainIdSchema.optional(),
  otherwise: chainIdSchema,
  /** Estimated tokens of the input, from which on a request is long; below a tenth of it, it is short. */
  long_from: z.int().min(10).max(10_000_000).optional(),
});

const breakerSchema = strictObject({
  consecutive_failures: z.int().min(1).max(1_000).optional(),
  failure_rate: z.number().min(0.01).max(1).optional(),
  minimum_calls: z.int().min(1).max(100_000).optional(),
  window: durationSchema({ min: 10_000, max: 600_000 }).optional(),
  cooldown: durationSchema({ min: 100, max: 3_600_000 }).optional(),
  max_cooldown: durationSchema({ min: 100, max: 86_400_000 }).optional(),
  successes_to_close: z.int().min(1).max(100).optional(),
  adaptive: z.boolean().optional(),
  latency_spike: z.number().min(1.5).max(1_000).optional(),
});

const onOff = z.union([z.enum(['on', 'off']), z.boolean().transform((value) => (value ? 'on' : 'off'))]);
const privacySchema = strictObject({
  cloud: onOff.optional(),
  detect: z.array(z.enum(detectorKinds)).max(16).optional(),
  unread_files: z.enum(unreadFileRules).optional(),
  require: z.array(labelSchema).min(1).max(20).optional(),
});

const budgetSchema = strictObject({
  per: z.enum(budgetSubjects),
  /** The field of a job's metadata, where `per` is `metadata`. */
  field: z
    .string()
    .regex(/^[\w.-]{1,64}$/, 'the field of a budget has 1 to 64 of A-Z a-z 0-9 _ . -')
    .optional(),
  /** Only these tenants, API keys, users, providers, models or values; without it, each of them. */
  only: z.array(z.string().min(1).max(512)).min(1).max(1_000).optional(),
  period: z.enum(['day', 'month']),
  limit_usd: usdSchema.refine((nano) => nano > 0n, 'expected more than 0'),
  alert_at: z.array(z.number().min(0.01).max(10)).max(10).optional(),
  reserve: z.enum(['expected', 'max']).optional(),
  on_exceeded: z.enum(['reject', 'local_only']).optional(),
  on_unknown_price: z.enum(['reserve_max', 'block', 'allow']).optional(),
}).refine(({ per, field }) => (per === 'metadata') === (field !== undefined), {
  error: 'a budget per metadata needs "field", and only such a one takes it',
});

/** Part of ids and of the keys that budgets are counted under. */
const tenantNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,60}$/, 'the name of a tenant has 1 to 60 of A-Z a-z 0-9 _ . -');
const tenantSchema = strictObject({
  weight: z.int().min(1).max(1_000).optional(),
  /** What the model "default" means for it. */
  chain: chainIdSchema.optional(),
  require: z.array(labelSchema).max(20).optional(),
  exclude_providers: z.array(providerIdSchema).max(20).optional(),
});

const networkSchema = z.string().refine((text) => ipaddr.isValidCIDR(text), 'expected a network such as "10.0.0.0/8"');

export const configSchema = strictObject({
  providers: z.record(providerIdSchema, providerSchema.nullable(), keyRule).optional(),
  chains: z.record(chainIdSchema, chainSchema, keyRule).optional(),
  webhooks: strictObject({
    allow_networks: z.array(networkSchema).max(100).optional(),
    timeout: durationSchema({ min: 100, max: 60_000 }).optional(),
  }).optional(),
  classify: z.record(chainIdSchema, classifySchema, keyRule).optional(),
  breaker: breakerSchema.optional(),
  privacy: privacySchema.optional(),
  budgets: z.array(budgetSchema).max(100).optional(),
  tenants: z.record(tenantNameSchema, tenantSchema, keyRule).optional(),
  /** Which target answered, after how many attempts and at what cost, as headers of calls that were waited for. */
  api: strictObject({ route_headers: z.boolean().optional() }).optional(),
  retention: notSupportedYet('retention', isEmpty),
  telemetry: notSupportedYet('telemetry', (value) => isEmpty(value) || only({ capture_content: false })(value)),
}).nullable();

export type ConfigFile = NonNullable<z.infer<typeof configSchema>>;
export type ProviderFile = NonNullable<NonNullable<ConfigFile['providers']>[string]>;
export type ChainFile = NonNullable<ConfigFile['chains']>[string];

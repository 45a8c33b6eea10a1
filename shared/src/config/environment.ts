/**
 * The environment, read once at start. Nothing else in the project reads `process.env`.
 *
 * Variables of other tools that people bring along are honoured where this version has what they ask for, and
 * refused by name where it does not: a setting that is silently ignored is worse than an error.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { durationSchema, parseDuration } from '../domain/duration.ts';
import type { Fault } from '../domain/strict-object.ts';
import { faultsOf } from '../domain/strict-object.ts';
import { presetIds } from '../providers/presets.ts';
import { parseRedisAddress, type RedisAddress } from '../redis/redis-address.ts';
import { modeSchema } from './schema.ts';

const optional = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema.optional());
const flag = z
  .enum(['true', 'false', '1', '0', 'yes', 'no', 'on', 'off'])
  .transform((text) => ['true', '1', 'yes', 'on'].includes(text));
const onOff = z.string().transform((text, context): 'on' | 'off' => {
  if (['on', 'true', '1', 'yes'].includes(text)) return 'on';
  if (['off', 'false', '0', 'no'].includes(text)) return 'off';
  context.addIssue({ code: 'custom', message: 'expected "on" or "off"', params: { code: 'invalid_value' } });
  return z.NEVER;
});

/** Seconds, as a number or a duration. */
const secondsSchema = (bounds: { min: number; max: number }) =>
  z
    .string()
    .transform((text) => (/^[\d.]+$/.test(text) ? `${text}s` : text))
    .pipe(durationSchema(bounds));

const providerName = z.string().transform((name) => name.trim().toLowerCase().replaceAll('_', '-'));
const providerList = z.string().transform((text) =>
  text
    .split(',')
    .map((name) => name.trim().toLowerCase().replaceAll('_', '-'))
    .filter((name) => name !== ''),
);

const masterKey = z.string().transform((text, context) => {
  const bytes = Buffer.from(text.trim(), 'base64');
  const isBase64 = /^[A-Za-z0-9+/_-]+={0,2}$/.test(text.trim());
  if (isBase64 && bytes.length === 32 && bytes.some((byte) => byte !== 0)) return bytes;
  context.addIssue({
    code: 'custom',
    message: `expected 32 random bytes as base64, such as "openssl rand -base64 32" prints, received ${isBase64 ? `${bytes.length} bytes` : 'other text'}`,
    params: { code: 'invalid_value' },
  });
  return z.NEVER;
});

const databaseUrl = z.string().transform((text, context): string => {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /^postgres(ql)?:$/.test(url.protocol)) return text;
  context.addIssue({
    code: 'custom',
    message: 'expected an address such as "postgres://user:password@host:5432/waybill"',
    params: { code: 'invalid_value' },
  });
  return z.NEVER;
});

const redisUrl = z.string().transform((text, context): RedisAddress => {
  const parsed = parseRedisAddress(text);
  if (parsed.kind === 'ok') return parsed.address;
  context.addIssue({ code: 'custom', message: parsed.why, params: { code: 'invalid_value' } });
  return z.NEVER;
});

const firstByteByProvider = z.string().transform((text, context): Record<string, number> => {
  const out: Record<string, number> = {};
  for (const item of text.split(',').filter((each) => each.trim() !== '')) {
    const [name, value] = item.split(':').map((part) => part.trim());
    const ms = Number.isNaN(Number(value)) ? parseDuration(value ?? '') : Number(value) * 1_000;
    if (!name || ms === null || ms < 100 || ms > 3_600_000) {
      context.addIssue({
        code: 'custom',
        message: `expected items such as "ollama:20" (seconds), received ${JSON.stringify(item.slice(0, 60))}`,
        params: { code: 'invalid_value' },
      });
      return z.NEVER;
    }
    out[name.toLowerCase().replaceAll('_', '-')] = ms;
  }
  return out;
});

const environmentSchema = z.object({
  WAYBILL_PORT: optional(z.coerce.number().int().min(0).max(65_535)),
  WAYBILL_HOST: optional(
    z.string().refine((host) => host === 'localhost' || isIP(host) !== 0, 'expected an IP address or "localhost"'),
  ),
  WAYBILL_CONFIG: optional(z.string()),
  WAYBILL_DATA_DIR: optional(z.string()),
  WAYBILL_MASTER_KEY: optional(masterKey),
  WAYBILL_ADMIN_KEY: optional(z.string().min(20, 'expected an API key of at least 20 characters')),
  WAYBILL_DISABLE: optional(providerList),
  WAYBILL_CLOUD: optional(
    z
      .string()
      .transform((text) => text.toLowerCase())
      .pipe(onOff),
  ),
  DATABASE_URL: optional(databaseUrl),
  REDIS_URL: optional(redisUrl),
  LOG_LEVEL: optional(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])),
  XDG_CACHE_HOME: optional(z.string()),
  LLM_PROVIDER_PRIORITY: optional(providerList),
  LLM_PROVIDER_TIMEOUTS: optional(firstByteByProvider),
  LLM_FALLBACK_MODE: optional(modeSchema),
  LLM_PROVIDER_COOLDOWN_SEC: optional(secondsSchema({ min: 100, max: 3_600_000 })),
  OPENAI_BASE_URL: optional(z.url({ protocol: /^https?$/ })),
  GEMINI_API_URL: optional(z.string()),
  ENABLE_PROVIDER_SYSTEM: optional(flag),
  PRIMARY_PROVIDER: optional(providerName),
  SECONDARY_PROVIDER: optional(providerName),
  FALLBACK_PROVIDER: optional(providerName),
  PROVIDER_TIMEOUT: optional(secondsSchema({ min: 100, max: 3_600_000 })),
  PROVIDER_RETRY_ATTEMPTS: optional(z.coerce.number().int().min(0).max(20)),
  PROVIDER_LOAD_BALANCE: optional(flag),
});

export type Environment = z.infer<typeof environmentSchema> & {
  /** `<PROVIDER>_MODEL` by provider id. */
  readonly models: Readonly<Record<string, string>>;
  /** The raw variables, for `${VAR}` in the file, credentials and OTEL_*. */
  readonly raw: NodeJS.ProcessEnv;
};

export type EnvironmentResult = { kind: 'ok'; environment: Environment } | { kind: 'faults'; faults: Fault[] };

export function parseEnvironment(env: NodeJS.ProcessEnv): EnvironmentResult {
  const parsed = environmentSchema.safeParse(env);
  const faults = [...(parsed.success ? [] : faultsOf(parsed.error)), ...redisWithoutDatabase(env)];
  if (!parsed.success || faults.length > 0)
    return {
      kind: 'faults',
      faults: faults.map((fault) => ({ ...fault, message: maskValue(fault.message, env[fault.path]) })),
    };
  const models: Record<string, string> = {};
  for (const id of presetIds) {
    const model = env[`${id.toUpperCase().replaceAll('-', '_')}_MODEL`]?.trim();
    if (model) models[id] = model;
  }
  return { kind: 'ok', environment: { ...parsed.data, models, raw: env } };
}

/** Zod may quote the value; an environment variable may be a secret. */
const maskValue = (message: string, value: string | undefined): string =>
  value && value.length >= 8 ? message.replaceAll(value, '…') : message;

/** Redis holds only what is about to run: without a database of all processes there would be nothing to fill it from. */
function redisWithoutDatabase({ REDIS_URL, DATABASE_URL }: NodeJS.ProcessEnv): Fault[] {
  if (!REDIS_URL || DATABASE_URL) return [];
  const message = 'needs DATABASE_URL: the queue is on Redis, the jobs are in PostgreSQL';
  return [{ path: 'REDIS_URL', code: 'invalid_value', message }];
}

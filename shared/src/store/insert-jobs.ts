/**
 * Storing new jobs: one statement for any number of them.
 *
 * The row decides about the fast path: a job whose target has no backlog and room in its window is marked as
 * dispatched in the very INSERT, so that only its writer adds the entry. The rest waits for the dispatcher.
 */
import { CompiledQuery, type Kysely } from 'kysely';
import { interactiveReserve } from '../routing/window.ts';
import type { JobRow } from './jobs.ts';
import type { Tables } from './tables.ts';

export interface NewJob {
  readonly id: string;
  readonly tenantId: string;
  readonly batchId: string | null;
  readonly customId: string | null;
  readonly endpoint: string;
  readonly priority: number;
  readonly requestedModel: string;
  readonly chain: string | null;
  readonly targets: readonly string[];
  readonly target: string;
  readonly provider: string;
  readonly configVersion: string;
  readonly require: readonly string[];
  readonly excludeProviders: readonly string[];
  /** Input and output. */
  readonly estimatedTokens: number;
  readonly estimatedOutput: number;
  /** No tokenizer counts more input than this. */
  readonly inputBound: number;
  /** null: the request has none. */
  readonly outputBound: number | null;
  readonly apiKeyId: string | null;
  readonly endUser: string | null;
  readonly maxCostNano: bigint | null;
  readonly conversation: string | null;
  /** Estimated, up to and with this turn; null: it is none. */
  readonly conversationTokens: number | null;
  readonly detected: readonly string[];
  readonly webhookEvents: readonly string[];
  readonly attemptTimeoutMs: number | null;
  readonly expiresInMs: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly webhookEndpointId: string | null;
  readonly runAt: Date | null;
  readonly traceId: string | null;
  readonly traceparent: string | null;
  /** JSON text of the targets that stood no chance, and why; null: none. */
  readonly skipped: string | null;
  /** JSON text of the canonical request. */
  readonly request: string;
}

const columns: readonly (readonly [column: string, type: string, read: (job: NewJob) => unknown])[] = [
  ['id', 'text', (job) => job.id],
  ['tenant_id', 'text', (job) => job.tenantId],
  ['batch_id', 'text', (job) => job.batchId],
  ['custom_id', 'text', (job) => job.customId],
  ['endpoint', 'text', (job) => job.endpoint],
  ['priority', 'int', (job) => job.priority],
  ['requested_model', 'text', (job) => job.requestedModel],
  ['chain', 'text', (job) => job.chain],
  ['target', 'text', (job) => job.target],
  ['provider', 'text', (job) => job.provider],
  ['config_version', 'text', (job) => job.configVersion],
  ['estimated_tokens', 'int', (job) => job.estimatedTokens],
  ['estimated_output', 'int', (job) => job.estimatedOutput],
  ['input_bound', 'int', (job) => job.inputBound],
  ['output_bound', 'int', (job) => job.outputBound],
  ['api_key_id', 'text', (job) => job.apiKeyId],
  ['end_user', 'text', (job) => job.endUser],
  ['max_cost_nano', 'bigint', (job) => job.maxCostNano?.toString() ?? null],
  ['conversation', 'text', (job) => job.conversation],
  ['conversation_tokens', 'int', (job) => job.conversationTokens],
  ['attempt_timeout_ms', 'int', (job) => job.attemptTimeoutMs],
  ['expires_in_ms', 'bigint', (job) => job.expiresInMs],
  ['webhook_endpoint_id', 'text', (job) => job.webhookEndpointId],
  ['run_at', 'timestamptz', (job) => job.runAt],
  ['trace_id', 'text', (job) => job.traceId],
  ['traceparent', 'text', (job) => job.traceparent],
];
/** Lists and objects travel as text, because `unnest` would flatten an array of arrays. */
const packed: readonly (readonly [column: string, expression: string, read: (job: NewJob) => string])[] = [
  ['targets', 'array(select jsonb_array_elements_text(i.targets::jsonb))', (job) => JSON.stringify(job.targets)],
  ['require', 'array(select jsonb_array_elements_text(i.require::jsonb))', (job) => JSON.stringify(job.require)],
  [
    'exclude_providers',
    'array(select jsonb_array_elements_text(i.exclude_providers::jsonb))',
    (job) => JSON.stringify(job.excludeProviders),
  ],
  ['detected', 'array(select jsonb_array_elements_text(i.detected::jsonb))', (job) => JSON.stringify(job.detected)],
  [
    'webhook_events',
    'array(select jsonb_array_elements_text(i.webhook_events::jsonb))',
    (job) => JSON.stringify(job.webhookEvents),
  ],
  ['metadata', 'i.metadata::jsonb', (job) => JSON.stringify(job.metadata)],
];

const names = [...columns.map(([name]) => name), ...packed.map(([name]) => name), 'skipped', 'request'];
const types = [...columns.map(([, type]) => type), ...packed.map(() => 'text'), 'text', 'text'];
const inserted = [...columns.map(([name]) => name), ...packed.map(([name]) => name)];
const selected = [...columns.map(([name]) => `i.${name}`), ...packed.map(([, expression]) => expression)];

const statement = `
with input as (
  select *, row_number() over (partition by target order by ord) as turn
  from unnest(${types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')}) with ordinality as t (${names.join(', ')}, ord)
), room as (
  select w.target, w.reserved, case
    when exists (select 1 from waybill.jobs b where b.target = w.target and b.status = 'queued' and b.dispatched_at is null and b.available_at <= now()) then 0
    else w.size - (select count(*) from (select 1 from waybill.jobs d where d.target = w.target and d.status = 'queued' and d.dispatched_at is not null limit w.size) used)
    end as free
  from unnest($${names.length + 1}::text[], $${names.length + 2}::int[], $${names.length + 3}::int[]) as w (target, size, reserved)
), stored as (
  insert into waybill.payloads (job_id, request) select id, request from input
), explained as (
  insert into waybill.decisions (job_id, run, seq, kind, target, why, detail, config_version)
    select id, 1, 1, 'routed', target, 'targets left out', skipped, config_version from input where skipped is not null
), audited as (
  insert into waybill.audit (actor, action, tenant_id, job_id, detail)
    select coalesce(api_key_id, 'waybill'), 'privacy.detected', tenant_id, id, jsonb_build_object('detected', detected::jsonb, 'require', require::jsonb)::text
    from input where detected <> '[]'
)
insert into waybill.jobs (${inserted.join(', ')}, status, available_at, deadline_at, dispatched_at)
select ${selected.join(', ')}, 'queued', greatest(now(), coalesce(i.run_at, now())),
  greatest(now(), coalesce(i.run_at, now())) + i.expires_in_ms * interval '1 millisecond',
  case when i.run_at is null and i.turn <= r.free - case when i.priority = 0 then 0 else r.reserved end then now() end
from input i left join room r on r.target = i.target
order by i.ord
returning *`;

/**
 * @param windows the window of each target that occurs, in entries
 * @returns the rows in the order of `jobs`; where `dispatched_at` is set, the caller adds the entry
 */
export async function insertJobs(
  db: Kysely<Tables>,
  jobs: readonly NewJob[],
  windows: ReadonlyMap<string, number>,
): Promise<JobRow[]> {
  const parameters: unknown[] = [
    ...columns.map(([, , read]) => jobs.map(read)),
    ...packed.map(([, , read]) => jobs.map(read)),
    jobs.map((job) => job.skipped),
    jobs.map((job) => job.request),
    [...windows.keys()],
    [...windows.values()],
    [...windows.values()].map(interactiveReserve),
  ];
  const { rows } = await db.executeQuery(CompiledQuery.raw(statement, parameters));
  const byId = new Map((rows as JobRow[]).map((row) => [row.id, row]));
  return jobs.flatMap((job) => byId.get(job.id) ?? []);
}

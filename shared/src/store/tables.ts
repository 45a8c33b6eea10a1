/** The rows as Kysely sees them. Names are those of the database; `int8` and `numeric` arrive as strings. */
import type { ColumnType, Generated, Selectable } from 'kysely';
import type { AttemptStatus } from '../domain/attempt.ts';
import type { DecisionKind, JobStatus, WaitingReason } from '../domain/job.ts';

type Time = ColumnType<Date, Date | string, Date | string>;
type TimeOrNull = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
type GeneratedTime = ColumnType<Date, Date | string | undefined, Date | string>;
type BigIntOrNull = ColumnType<string | null, bigint | string | null | undefined, bigint | string | null>;

export interface Tables {
  'waybill.tenants': {
    id: string;
    name: string;
    weight: Generated<number>;
    default_webhook_secret: Buffer;
    created_at: GeneratedTime;
  };
  'waybill.api_keys': {
    id: string;
    tenant_id: string;
    name: string;
    hash: Buffer;
    scopes: string[];
    created_at: GeneratedTime;
    expires_at: TimeOrNull;
    revoked_at: TimeOrNull;
  };
  'waybill.idempotency_keys': {
    tenant_id: string;
    scope: string;
    key: string;
    fingerprint: string;
    status: number;
    response: string;
    expires_at: Time;
  };
  'waybill.webhook_endpoints': {
    id: string;
    tenant_id: string;
    url: string;
    kind: 'ad_hoc' | 'registered';
    disabled_at: TimeOrNull;
    disabled_reason: string | null;
    created_at: GeneratedTime;
  };
  'waybill.batches': { id: string; tenant_id: string; total: number; created_at: GeneratedTime };
  'waybill.jobs': JobTable;
  'waybill.payloads': {
    job_id: string;
    request: string;
    output: string | null;
    output_attempt: number | null;
    carried: string | null;
  };
  'waybill.attempts': AttemptTable;
  'waybill.ledger': LedgerTable;
  'waybill.webhook_deliveries': DeliveryTable;
  'waybill.workers': {
    id: string;
    host: string;
    pid: number;
    version: string;
    started_at: GeneratedTime;
    lease_until: Time;
  };
  'waybill.leases': { name: string; worker_id: string; lease_until: Time };
  'waybill.server_facts': { name: string; value: string };
  'waybill.credentials': { name: string; sealed: Buffer; updated_at: GeneratedTime };
  'waybill.provider_switches': {
    provider: string;
    is_enabled: boolean;
    changed_at: GeneratedTime;
    changed_by: string | null;
  };
  'waybill.provider_health': HealthTable;
  'waybill.events': { id: string; ord: Generated<string>; type: string; data: string; created_at: GeneratedTime };
  'waybill.decisions': DecisionTable;
  'waybill.audit': {
    id: Generated<string>;
    at: GeneratedTime;
    actor: string;
    action: string;
    tenant_id: string | null;
    job_id: string | null;
    detail: string;
  };
  'waybill.epochs': { provider: string; epoch: string; changed_at: GeneratedTime };
}

export interface JobTable {
  id: string;
  tenant_id: string;
  batch_id: string | null;
  custom_id: string | null;
  endpoint: string;
  status: JobStatus;
  priority: number;
  precedence: Generated<number>;
  requested_model: string;
  chain: string | null;
  targets: string[];
  target: string;
  provider: string;
  seq: Generated<number>;
  run: Generated<number>;
  attempt: Generated<number>;
  config_version: string;
  require: string[];
  exclude_providers: string[];
  /** Input and output. */
  estimated_tokens: number;
  /** The part of them that is output. */
  estimated_output: Generated<number>;
  conversation_tokens: number | null;
  /** No tokenizer counts more input than this. */
  input_bound: Generated<number>;
  /** As the request bounds its output; null: it does not. */
  output_bound: number | null;
  /** Since when it waits for a limit of its present target. */
  limited_since: TimeOrNull;
  /** An operator has paused it. */
  paused_at: TimeOrNull;
  api_key_id: string | null;
  end_user: string | null;
  max_cost_nano: BigIntOrNull;
  conversation: string | null;
  /** Kinds of what the privacy detectors found; never what they found. */
  detected: Generated<string[]>;
  /** Events it is told of besides its end. */
  webhook_events: Generated<string[]>;
  /** Answered by the chain's last resort. */
  is_last_resort: Generated<boolean>;
  attempt_timeout_ms: number | null;
  expires_in_ms: ColumnType<string, number, number>;
  metadata: ColumnType<Record<string, string>, string, string>;
  webhook_endpoint_id: string | null;
  created_at: GeneratedTime;
  queued_at: GeneratedTime;
  run_at: TimeOrNull;
  available_at: GeneratedTime;
  dispatched_at: TimeOrNull;
  deadline_at: Time;
  started_at: TimeOrNull;
  finished_at: TimeOrNull;
  claimed_by: string | null;
  waiting_reason: WaitingReason | null;
  waiting_since: TimeOrNull;
  waiting_until: TimeOrNull;
  error_kind: string | null;
  error_message: string | null;
  trace_id: string | null;
  traceparent: string | null;
}

export interface AttemptTable {
  job_id: string;
  n: number;
  run: number;
  kind: Generated<'call' | 'provider_batch'>;
  target: string;
  status: AttemptStatus;
  failure_kind: string | null;
  failure_message: string | null;
  http_status: number | null;
  worker_id: string;
  credential: string | null;
  /** The token of the permit under which it was called. */
  permit: string | null;
  /** Where it was called: its account, and its address when there are several. */
  place: string | null;
  /** An answer that was not the whole one. */
  is_part: Generated<boolean>;
  /** What was reserved of the account's rates, then what was really used. */
  input_tokens: number | null;
  output_tokens: number | null;
  started_at: GeneratedTime;
  ended_at: TimeOrNull;
  duration_ms: number | null;
  first_byte_ms: number | null;
  retry_at: TimeOrNull;
  provider_request_id: string | null;
  response_model: string | null;
  usage: string | null;
  cost_nano: BigIntOrNull;
  cost_basis: string | null;
  cost_reason: string | null;
  warnings: string | null;
}

export interface DecisionTable {
  job_id: string;
  run: number;
  seq: number;
  kind: DecisionKind;
  target: string;
  next_target: string | null;
  why: string;
  /** JSON text of what was known. */
  detail: string | null;
  config_version: string | null;
  at: GeneratedTime;
}

export type DecisionRow = Selectable<DecisionTable>;

export interface HealthTable {
  provider: string;
  /** Counted from 1, as the configuration lists them. */
  endpoint: number;
  status: 'unknown' | 'healthy' | 'unhealthy' | 'loading';
  changed_at: GeneratedTime;
  checked_at: TimeOrNull;
  consecutive_failures: Generated<number>;
  consecutive_successes: Generated<number>;
  /** The last 100 calls, oldest first: latency in ms, negative for a failed one. */
  calls: Generated<number[]>;
  /** Seconds in all that it was healthy, and that it was watched. */
  healthy_s: Generated<number>;
  watched_s: Generated<number>;
  last_failure: string | null;
  /** JSON text of what the server said of itself. */
  facts: string | null;
}

export interface LedgerTable {
  id: Generated<string>;
  job_id: string;
  attempt: number;
  tenant_id: string;
  provider: string;
  requested_model: string;
  response_model: string | null;
  outcome: string;
  usage: string | null;
  cost_nano: BigIntOrNull;
  cost_basis: string;
  cost_reason: string | null;
  price_snapshot: string | null;
  price_source: string | null;
  price_version: string | null;
  corrects_id: string | null;
  created_at: GeneratedTime;
}

export interface DeliveryTable {
  id: string;
  event_id: string;
  tenant_id: string;
  endpoint_id: string;
  job_id: string;
  type: string;
  payload: string;
  status: Generated<'pending' | 'delivered' | 'failed'>;
  attempts: Generated<number>;
  seq: Generated<number>;
  next_at: GeneratedTime;
  queued_at: TimeOrNull;
  last_status: number | null;
  last_error: string | null;
  traceparent: string | null;
  created_at: GeneratedTime;
  finished_at: TimeOrNull;
}

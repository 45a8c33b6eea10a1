/**
 * The tables. Every name is written with its schema, because `search_path` names BullMQ's alone.
 *
 * The job row is the outbox: `target, provider, seq, available_at, dispatched_at` say what the queue should hold,
 * and the queue can be filled again from them at any time.
 */
const tenancy = `
create table waybill.tenants (
  id text primary key,
  name text not null,
  weight int not null default 1 check (weight > 0),
  default_webhook_secret bytea not null,
  created_at timestamptz not null default now()
);
create table waybill.api_keys (
  id text primary key,
  tenant_id text not null references waybill.tenants (id),
  name text not null,
  hash bytea not null,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
create table waybill.idempotency_keys (
  tenant_id text not null references waybill.tenants (id),
  scope text not null,
  key text not null,
  fingerprint text not null,
  status int not null,
  response text not null,
  expires_at timestamptz not null,
  primary key (tenant_id, scope, key)
);
create index idempotency_keys_expiry on waybill.idempotency_keys (expires_at);
create table waybill.webhook_endpoints (
  id text primary key,
  tenant_id text not null references waybill.tenants (id),
  url text not null,
  kind text not null check (kind in ('ad_hoc', 'registered')),
  disabled_at timestamptz,
  disabled_reason text,
  created_at timestamptz not null default now(),
  unique (tenant_id, url)
);
`;

const jobs = `
create table waybill.batches (
  id text primary key,
  tenant_id text not null references waybill.tenants (id),
  total int not null,
  created_at timestamptz not null default now()
);
create table waybill.jobs (
  id text primary key,
  tenant_id text not null references waybill.tenants (id),
  batch_id text references waybill.batches (id),
  custom_id text,
  endpoint text not null,
  status text not null check (status in ('queued', 'in_progress', 'awaiting_approval', 'succeeded', 'failed', 'cancelled', 'expired')),
  priority smallint not null,
  -- Retries and fallbacks (0) go ahead of new work (1) of their class.
  precedence smallint not null default 1,
  requested_model text not null,
  chain text,
  targets text[] not null,
  target text not null,
  provider text not null,
  seq int not null default 1,
  run int not null default 1,
  attempt int not null default 0,
  config_version text not null,
  require text[] not null default '{}',
  exclude_providers text[] not null default '{}',
  estimated_tokens int not null,
  attempt_timeout_ms int,
  expires_in_ms bigint not null,
  metadata jsonb not null default '{}',
  webhook_endpoint_id text references waybill.webhook_endpoints (id),
  created_at timestamptz not null default now(),
  queued_at timestamptz not null default now(),
  run_at timestamptz,
  available_at timestamptz not null default now(),
  dispatched_at timestamptz,
  deadline_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  claimed_by text,
  waiting_reason text,
  waiting_since timestamptz,
  waiting_until timestamptz,
  error_kind text,
  error_message text,
  trace_id text,
  traceparent text
);
create index jobs_backlog on waybill.jobs (target, priority, precedence, available_at, id) where status = 'queued' and dispatched_at is null;
create index jobs_window on waybill.jobs (target) where status = 'queued' and dispatched_at is not null;
create index jobs_deadline on waybill.jobs (deadline_at) where status in ('queued', 'in_progress', 'awaiting_approval');
create index jobs_claimed on waybill.jobs (claimed_by) where status = 'in_progress';
create index jobs_list on waybill.jobs (tenant_id, id desc);
create index jobs_custom_id on waybill.jobs (tenant_id, custom_id) where custom_id is not null;
create unique index jobs_batch on waybill.jobs (batch_id, custom_id) where batch_id is not null;
create table waybill.payloads (
  job_id text primary key references waybill.jobs (id),
  request text not null,
  output text,
  output_attempt int
);
`;

const attempts = `
create table waybill.attempts (
  job_id text not null references waybill.jobs (id),
  n int not null,
  run int not null,
  kind text not null default 'call' check (kind in ('call', 'provider_batch')),
  target text not null,
  status text not null check (status in ('started', 'succeeded', 'failed', 'aborted', 'unknown', 'superseded')),
  failure_kind text,
  failure_message text,
  http_status int,
  worker_id text not null,
  credential text,
  started_at timestamptz not null default now(),
  ended_at timestamptz,
  duration_ms int,
  first_byte_ms int,
  retry_at timestamptz,
  provider_request_id text,
  response_model text,
  usage text,
  cost_nano bigint,
  cost_basis text,
  cost_reason text,
  warnings text,
  primary key (job_id, n)
);
create unique index attempts_one_success on waybill.attempts (job_id, run) where status = 'succeeded';
create index attempts_open on waybill.attempts (worker_id) where status = 'started';
create table waybill.ledger (
  id bigint generated always as identity primary key,
  job_id text not null,
  attempt int not null,
  tenant_id text not null,
  provider text not null,
  requested_model text not null,
  response_model text,
  outcome text not null,
  usage text,
  cost_nano bigint,
  cost_basis text not null,
  cost_reason text,
  price_snapshot text,
  price_source text,
  price_version text,
  corrects_id bigint references waybill.ledger (id),
  created_at timestamptz not null default now()
);
create unique index ledger_once on waybill.ledger (job_id, attempt) where corrects_id is null;
create function waybill.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'waybill.ledger is append-only: write a correcting row instead' using errcode = 'restrict_violation';
end $$;
create trigger ledger_append_only before update or delete on waybill.ledger for each row execute function waybill.refuse_change();
create trigger ledger_no_truncate before truncate on waybill.ledger for each statement execute function waybill.refuse_change();
create table waybill.webhook_deliveries (
  id text primary key,
  event_id text not null,
  tenant_id text not null references waybill.tenants (id),
  endpoint_id text not null references waybill.webhook_endpoints (id),
  job_id text not null references waybill.jobs (id),
  type text not null,
  payload text not null,
  status text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
  attempts int not null default 0,
  seq int not null default 1,
  next_at timestamptz not null default now(),
  queued_at timestamptz,
  last_status int,
  last_error text,
  traceparent text,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  unique (event_id, endpoint_id)
);
create index webhook_deliveries_due on waybill.webhook_deliveries (next_at) where status = 'pending';
create index webhook_deliveries_job on waybill.webhook_deliveries (job_id);
`;

const fleet = `
create table waybill.workers (
  id text primary key,
  host text not null,
  pid int not null,
  version text not null,
  started_at timestamptz not null default now(),
  lease_until timestamptz not null
);
create table waybill.leases (
  name text primary key,
  worker_id text not null,
  lease_until timestamptz not null
);
create table waybill.server_facts (
  name text primary key,
  value text not null
);
`;

export const statements = [tenancy, jobs, attempts, fleet];

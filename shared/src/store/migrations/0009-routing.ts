/**
 * What routing needs of a job: the size of its request, who sent it, what it may cost, what waits for whom; and what was
 * decided about it, for whoever asks why.
 */
const columns = `
alter table waybill.jobs
  -- The part of estimated_tokens that is output.
  add column estimated_output int not null default 0,
  -- No tokenizer counts more input than this; output as the request bounds it, null: it does not.
  add column input_bound int not null default 0,
  add column output_bound int,
  -- Since when it waits for a limit of its present target.
  add column limited_since timestamptz,
  -- An operator has paused it.
  add column paused_at timestamptz,
  add column api_key_id text,
  add column end_user text,
  add column max_cost_nano bigint,
  add column conversation text,
  -- Estimated, of its conversation up to and with this turn: its own estimate counts no more than fits a window.
  add column conversation_tokens int,
  -- Kinds of what the privacy detectors found; never what they found.
  add column detected text[] not null default '{}',
  -- Events it is told of besides its end.
  add column webhook_events text[] not null default '{}',
  -- Answered by the chain's last resort.
  add column is_last_resort boolean not null default false;
create index jobs_conversation on waybill.jobs (tenant_id, conversation, id) where conversation is not null;
-- Those of its turns that are not over, however many are.
create index jobs_conversation_open on waybill.jobs (tenant_id, conversation, id)
  where conversation is not null and status in ('queued', 'in_progress', 'awaiting_approval');
create index jobs_approval on waybill.jobs (tenant_id, id) where status = 'awaiting_approval';
-- What operators act on: by batch, oldest first.
create index jobs_of_batch on waybill.jobs (batch_id, id) where batch_id is not null;
drop index waybill.jobs_held;
create index jobs_held on waybill.jobs (id) where status = 'queued' and dispatched_at is null and waiting_reason in ('recovery', 'paused', 'rate_limit', 'breaker', 'budget', 'conversation');

alter table waybill.attempts
  -- What was reserved of the account's rates, and then what was really used.
  add column input_tokens int,
  add column output_tokens int;
create index attempts_started on waybill.attempts using brin (started_at);
`;

const tables = `
-- Why a job went where it went. One row for each kind of decision about one entry.
create table waybill.decisions (
  job_id text not null,
  run int not null,
  seq int not null,
  kind text not null check (kind in ('routed', 'fall_back', 'wait', 'retry', 'park', 'approve', 'refuse', 'fail', 'pause', 'resume')),
  target text not null,
  next_target text,
  why text not null,
  -- JSON text of what was known: the candidates that were skipped and why, delays.
  detail text,
  config_version text,
  at timestamptz not null default clock_timestamp(),
  primary key (job_id, seq, kind)
);
-- What somebody must be able to prove later. Kinds and names only, never contents.
create table waybill.audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  action text not null,
  tenant_id text,
  job_id text,
  detail text not null
);
create index audit_job on waybill.audit (job_id) where job_id is not null;
`;

export const statements = [columns, tables];

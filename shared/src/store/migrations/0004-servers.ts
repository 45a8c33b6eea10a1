/**
 * What several processes need: an epoch per provider, the permit of each attempt, a backlog by tenant, and claims and
 * settles for many at once.
 *
 * Statements of one kind that are ready together go out together; each item of a call stands alone, and a fault in one
 * makes the caller try them one by one.
 */
const epochs = `
-- The coordination store keeps the same value; one that lost it lost its permits too, and answers nothing until they are rebuilt.
create table waybill.epochs (
  provider text primary key,
  epoch text not null,
  changed_at timestamptz not null default clock_timestamp()
);
alter table waybill.attempts add column permit text;

-- Claims hold the lock shared: after this returns, no permit of an older epoch can be claimed with any more.
create function waybill.swap_epoch(p_provider text, p_old text, p_new text) returns boolean language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('waybill.epoch'), hashtext(p_provider));
  update waybill.epochs set epoch = p_new, changed_at = clock_timestamp() where provider = p_provider and epoch = p_old;
  return found;
end $$;
`;

const backlog = `
drop index waybill.jobs_backlog;
create index jobs_backlog on waybill.jobs (target, tenant_id, priority, precedence, available_at, id) where status = 'queued' and dispatched_at is null;
`;

const claim = `
drop function waybill.claim_job(text, int, text, text, text[], text);
create function waybill.claim_job(p_job text, p_seq int, p_target text, p_worker text, p_labels text[], p_credential text, p_permit text, p_epoch text)
returns table (outcome text, job waybill.jobs, request text, history text, prior_cost_nano bigint, prior_unknown int) language plpgsql as $$
#variable_conflict use_column
declare
  j waybill.jobs%rowtype;
  p_provider text := split_part(p_target, '/', 1);
begin
  perform pg_advisory_xact_lock_shared(hashtext('waybill.epoch'), hashtext(p_provider));
  if not exists (select 1 from waybill.epochs e where e.provider = p_provider and e.epoch = p_epoch) then
    return query select 'old_epoch', null::waybill.jobs, null::text, null::text, null::bigint, null::int;
    return;
  end if;
  select * into j from waybill.jobs where id = p_job for update;
  if not found or j.seq <> p_seq or j.target <> p_target or j.deadline_at <= clock_timestamp()
     or not waybill.is_alive(p_worker)
     or not (j.status = 'queued' or (j.status = 'in_progress' and not waybill.is_alive(j.claimed_by))) then
    return query select 'stale', null::waybill.jobs, null::text, null::text, null::bigint, null::int;
    return;
  end if;
  if j.status = 'in_progress' then
    perform waybill.mark_unknown(p_job, j.attempt, j.tenant_id);
    update waybill.jobs set status = 'queued', claimed_by = null where id = p_job;
  end if;
  if j.attempt >= 5 and waybill.is_poisoned(p_job) then
    return query select 'poison', j, null::text, null::text, null::bigint, null::int;
    return;
  end if;
  if not (j.require <@ p_labels) then
    return query select 'label', j, null::text, null::text, null::bigint, null::int;
    return;
  end if;
  update waybill.jobs set status = 'in_progress', attempt = attempt + 1, claimed_by = p_worker,
    started_at = coalesce(started_at, clock_timestamp()), waiting_reason = null, waiting_since = null, waiting_until = null
    where id = p_job returning * into j;
  insert into waybill.attempts (job_id, n, run, target, status, worker_id, credential, permit, started_at)
    values (p_job, j.attempt, j.run, p_target, 'started', p_worker, p_credential, p_permit, clock_timestamp());
  if j.attempt = 1 then
    return query select 'claimed', j, p.request, '[]', 0::bigint, 0 from waybill.payloads p where p.job_id = p_job;
    return;
  end if;
  return query select 'claimed', j, p.request, h.history, h.cost, h.unknown
    from waybill.payloads p, lateral (
      select coalesce(json_agg(json_build_object('n', a.n, 'target', a.target, 'status', a.status, 'failure', a.failure_kind,
          'endedAtMs', (extract(epoch from a.ended_at) * 1000)::bigint, 'retryAtMs', (extract(epoch from a.retry_at) * 1000)::bigint) order by a.n)
          filter (where a.run = j.run), '[]')::text as history,
        coalesce(sum(a.cost_nano), 0)::bigint as cost,
        (count(*) filter (where a.cost_basis is not null and a.cost_nano is null))::int as unknown
      from waybill.attempts a where a.job_id = p_job and a.n < j.attempt) h
    where p.job_id = p_job;
end $$;

create function waybill.claim_jobs(p_items jsonb)
returns table (ord int, outcome text, job waybill.jobs, request text, history text, prior_cost_nano bigint, prior_unknown int) language plpgsql as $$
#variable_conflict use_column
declare
  i record;
begin
  for i in select * from jsonb_to_recordset(p_items) as x(ord int, job text, seq int, target text, worker text, labels jsonb, credential text, permit text, epoch text)
  loop
    return query select i.ord, c.* from waybill.claim_job(i.job, i.seq, i.target, i.worker,
      array(select jsonb_array_elements_text(i.labels)), i.credential, i.permit, i.epoch) c;
  end loop;
end $$;
`;

const settle = `
-- One attempt's end: the job moves on where the fence holds, the attempt is closed and booked once, the receiver told.
create function waybill.settle_attempts(p_items jsonb, p_outputs text[], p_payloads text[])
returns table (ord int, is_fenced boolean, delivery_id text, job waybill.jobs) language plpgsql as $$
#variable_conflict use_column
declare
  i record;
  j waybill.jobs%rowtype;
  v_fenced boolean;
  v_delivery text;
  v_status text;
  v_target text;
begin
  for i in select * from jsonb_to_recordset(p_items) as x(ord int, job text, attempt int, status text,
    next text, final_status text, error_kind text, error_message text,
    next_target text, delay_ms int, waiting text, window_size int, longest_queued_ms int,
    failure_kind text, failure_message text, http_status int, duration_ms int, first_byte_ms int, retry_at timestamptz,
    request_id text, response_model text, usage text, warnings text,
    cost_nano bigint, cost_basis text, cost_reason text, price_snapshot text, price_source text, price_version text, is_booked boolean,
    delivery_id text, event_id text, event_type text)
  loop
    if i.next = 'requeue' then
      update waybill.jobs set status = 'queued', seq = seq + 1, target = i.next_target, provider = split_part(i.next_target, '/', 1),
        precedence = 0, claimed_by = null, available_at = clock_timestamp() + i.delay_ms * interval '1 millisecond',
        waiting_reason = case when i.delay_ms > 0 then i.waiting end,
        waiting_since = case when i.delay_ms > 0 and i.waiting is not null then clock_timestamp() end,
        waiting_until = case when i.delay_ms > 0 and i.waiting is not null then clock_timestamp() + i.delay_ms * interval '1 millisecond' end,
        dispatched_at = case when i.delay_ms <= i.longest_queued_ms and (select count(*) from (select 1 from waybill.jobs d
          where d.target = i.next_target and d.status = 'queued' and d.dispatched_at is not null limit i.window_size) used) < i.window_size
          then clock_timestamp() end
      where id = i.job and status = 'in_progress' and attempt = i.attempt returning * into j;
    else
      update waybill.jobs set status = i.final_status, seq = seq + 1, finished_at = clock_timestamp(), dispatched_at = null,
        error_kind = i.error_kind, error_message = i.error_message,
        waiting_reason = null, waiting_since = null, waiting_until = null
      where id = i.job and status = 'in_progress' and attempt = i.attempt returning * into j;
    end if;
    v_fenced := found;
    v_delivery := null;
    v_status := case when v_fenced then i.status when i.status = 'aborted' then 'aborted' else 'superseded' end;
    update waybill.attempts set status = v_status, failure_kind = i.failure_kind, failure_message = i.failure_message,
      http_status = i.http_status, ended_at = clock_timestamp(), duration_ms = i.duration_ms, first_byte_ms = i.first_byte_ms,
      retry_at = i.retry_at, provider_request_id = i.request_id, response_model = i.response_model, usage = i.usage, warnings = i.warnings,
      cost_nano = i.cost_nano, cost_basis = i.cost_basis, cost_reason = i.cost_reason
      where job_id = i.job and n = i.attempt and status = 'started' returning target into v_target;
    if not found then
      perform waybill.correct_attempt(i.job, i.attempt, to_jsonb(i));
    elsif i.is_booked then
      insert into waybill.ledger (job_id, attempt, tenant_id, provider, requested_model, response_model, outcome, usage,
          cost_nano, cost_basis, cost_reason, price_snapshot, price_source, price_version)
        values (i.job, i.attempt, coalesce(j.tenant_id, (select t.tenant_id from waybill.jobs t where t.id = i.job)), split_part(v_target, '/', 1),
          substr(v_target, strpos(v_target, '/') + 1), i.response_model, v_status, i.usage,
          i.cost_nano, i.cost_basis, i.cost_reason, i.price_snapshot, i.price_source, i.price_version)
        on conflict do nothing;
    end if;
    if v_fenced and i.next = 'succeed' then
      update waybill.payloads set output = p_outputs[i.ord], output_attempt = i.attempt where job_id = i.job;
    end if;
    if v_fenced and i.delivery_id is not null and j.webhook_endpoint_id is not null then
      insert into waybill.webhook_deliveries (id, event_id, tenant_id, endpoint_id, job_id, type, payload, queued_at, traceparent)
        select i.delivery_id, i.event_id, j.tenant_id, e.id, j.id, i.event_type, p_payloads[i.ord], now(), j.traceparent
        from waybill.webhook_endpoints e where e.id = j.webhook_endpoint_id and e.disabled_at is null
        on conflict do nothing returning id into v_delivery;
    end if;
    return query select i.ord, v_fenced, v_delivery, case when v_fenced then j end;
  end loop;
end $$;
`;

/** A full answer that came too late corrects what was booked as unknown by a second row; the ledger only grows. */
const correcting = `
create function waybill.correct_attempt(p_job text, p_attempt int, i jsonb) returns void language plpgsql as $$
declare
  a waybill.attempts%rowtype;
  v_corrects bigint;
begin
  update waybill.attempts set status = 'superseded', failure_kind = i->>'failure_kind', failure_message = i->>'failure_message',
    http_status = (i->>'http_status')::int, ended_at = clock_timestamp(), duration_ms = (i->>'duration_ms')::int,
    first_byte_ms = (i->>'first_byte_ms')::int, retry_at = (i->>'retry_at')::timestamptz, provider_request_id = i->>'request_id',
    response_model = i->>'response_model', usage = i->>'usage', warnings = i->>'warnings',
    cost_nano = (i->>'cost_nano')::bigint, cost_basis = i->>'cost_basis', cost_reason = i->>'cost_reason'
    where job_id = p_job and n = p_attempt and status = 'unknown' returning * into a;
  if not found then return; end if;
  select id into v_corrects from waybill.ledger where job_id = p_job and attempt = p_attempt and corrects_id is null;
  if not (i->>'is_booked')::boolean and v_corrects is null then return; end if;
  insert into waybill.ledger (job_id, attempt, tenant_id, provider, requested_model, response_model, outcome, usage,
      cost_nano, cost_basis, cost_reason, price_snapshot, price_source, price_version, corrects_id)
    select p_job, p_attempt, t.tenant_id, split_part(a.target, '/', 1), substr(a.target, strpos(a.target, '/') + 1), i->>'response_model', 'superseded', i->>'usage',
      (i->>'cost_nano')::bigint, i->>'cost_basis', i->>'cost_reason', i->>'price_snapshot', i->>'price_source', i->>'price_version', v_corrects
    from waybill.jobs t where t.id = p_job
    on conflict do nothing;
end $$;
`;

const coordination = `
drop function coordination.take_permit(text, text, text, text, int, int);
drop function coordination.settle_permit(text, text);
drop table coordination.permits;
create unlogged table coordination.permits (
  token text primary key,
  target text not null,
  expires_at timestamptz not null
);
create index permits_target on coordination.permits (target);
create unlogged table coordination.epochs (
  provider text primary key,
  epoch text not null
);
-- Tokens to charge to a tenant's share of a target, or to give back, since the dispatcher last read them.
create unlogged table coordination.charges (
  target text not null,
  tenant_id text not null,
  why text not null,
  tokens bigint not null,
  primary key (target, tenant_id, why)
);

-- How many of the tokens got a permit: the first ones. -1: the epoch is not the store's own.
create function coordination.take_permits(p_epoch text, p_target text, p_limit int, p_lease_ms int, p_tokens text[]) returns int language plpgsql as $$
declare
  v_room int;
begin
  perform pg_advisory_xact_lock(hashtext('waybill.permit'), hashtext(p_target));
  if not exists (select 1 from coordination.epochs where provider = split_part(p_target, '/', 1) and epoch = p_epoch) then
    return -1;
  end if;
  delete from coordination.permits where target = p_target and expires_at <= clock_timestamp();
  v_room := greatest(0, p_limit - (select count(*) from coordination.permits where target = p_target));
  insert into coordination.permits (token, target, expires_at)
    select t, p_target, clock_timestamp() + make_interval(secs => p_lease_ms / 1000.0)
    from unnest(p_tokens) with ordinality as u(t, ord) where ord <= v_room;
  return least(v_room, cardinality(p_tokens));
end $$;

-- Ends calls: their places are free, their ends count for the target's throughput. True: all places had been taken.
create function coordination.settle_permits(p_target text, p_limit int, p_tokens text[], p_tenants text[], p_estimated bigint[], p_used bigint[]) returns boolean language plpgsql as $$
declare
  now_second bigint := extract(epoch from clock_timestamp())::bigint;
  was_full boolean := (select count(*) from coordination.permits where target = p_target) >= p_limit;
begin
  delete from coordination.permits where token = any(p_tokens);
  insert into coordination.throughput (target, second, ended) values (p_target, now_second, cardinality(p_tokens))
    on conflict (target, second) do update set ended = coordination.throughput.ended + excluded.ended;
  delete from coordination.throughput where second < now_second - 60;
  insert into coordination.charges as c (target, tenant_id, why, tokens)
    select p_target, t, w.why, sum(case w.why when 'used' then used else estimated end)
    from unnest(p_tenants, p_estimated, p_used) as u(t, estimated, used), (values ('estimated'), ('used')) as w(why) group by t, w.why
    on conflict (target, tenant_id, why) do update set tokens = c.tokens + excluded.tokens;
  return was_full;
end $$;
`;

export const statements = [epochs, backlog, claim, correcting, settle, coordination];

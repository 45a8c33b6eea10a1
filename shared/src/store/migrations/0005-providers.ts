/**
 * Providers in full: several accounts and addresses per target, answers that come in parts, credentials in the database,
 * health, and events that are nobody's job.
 *
 * The functions that processes of the version before call stay beside the new ones, for rolling deploys.
 */
const tables = `
-- Where a target was called: its account, and its address when there are several.
alter table waybill.attempts add column place text;
-- An answer that was not the whole one: the job goes on from it.
alter table waybill.attempts add column is_part boolean not null default false;
drop index waybill.attempts_one_success;
create unique index attempts_one_success on waybill.attempts (job_id, run) where status = 'succeeded' and not is_part;
-- What earlier attempts of the run have delivered, as JSON text; null: nothing.
alter table waybill.payloads add column carried text;

create table waybill.credentials (
  name text primary key,
  sealed bytea not null,
  updated_at timestamptz not null default clock_timestamp()
);
-- Set by an operator while the processes run; it wins over the configuration.
create table waybill.provider_switches (
  provider text primary key,
  is_enabled boolean not null,
  changed_at timestamptz not null default clock_timestamp(),
  changed_by text
);
create table waybill.provider_health (
  provider text not null,
  -- Counted from 1, as the configuration lists them.
  endpoint int not null,
  status text not null check (status in ('unknown', 'healthy', 'unhealthy', 'loading')),
  changed_at timestamptz not null default clock_timestamp(),
  checked_at timestamptz,
  consecutive_failures int not null default 0,
  consecutive_successes int not null default 0,
  -- The last 100 calls, oldest first: latency in ms, negative for a failed one.
  calls int[] not null default '{}',
  -- Seconds in all that it was healthy and that it was watched.
  healthy_s double precision not null default 0,
  watched_s double precision not null default 0,
  last_failure text,
  facts text,
  primary key (provider, endpoint)
);
-- What happened to no single job; ids are a function of what happened.
create table waybill.events (
  id text primary key,
  ord bigint generated always as identity,
  type text not null,
  data text not null,
  created_at timestamptz not null default clock_timestamp()
);
create unique index events_ord on waybill.events (ord);
-- Jobs that are looked at anew when something has changed.
create index jobs_held on waybill.jobs (available_at) where status = 'queued' and dispatched_at is null and waiting_reason in ('recovery', 'paused', 'rate_limit');
`;

const claim = `
drop function waybill.claim_jobs(jsonb);
drop function waybill.claim_job(text, int, text, text, text[], text, text, text);
create function waybill.claim_job(p_job text, p_seq int, p_target text, p_worker text, p_labels text[], p_credential text, p_permit text, p_place text, p_epoch text)
returns table (outcome text, job waybill.jobs, request text, carried text, history text, prior_cost_nano bigint, prior_unknown int) language plpgsql as $$
#variable_conflict use_column
declare
  j waybill.jobs%rowtype;
  p_provider text := split_part(p_target, '/', 1);
begin
  perform pg_advisory_xact_lock_shared(hashtext('waybill.epoch'), hashtext(p_provider));
  if not exists (select 1 from waybill.epochs e where e.provider = p_provider and e.epoch = p_epoch) then
    return query select 'old_epoch', null::waybill.jobs, null::text, null::text, null::text, null::bigint, null::int;
    return;
  end if;
  select * into j from waybill.jobs where id = p_job for update;
  if not found or j.seq <> p_seq or j.target <> p_target or j.deadline_at <= clock_timestamp()
     or not waybill.is_alive(p_worker)
     or not (j.status = 'queued' or (j.status = 'in_progress' and not waybill.is_alive(j.claimed_by))) then
    return query select 'stale', null::waybill.jobs, null::text, null::text, null::text, null::bigint, null::int;
    return;
  end if;
  if j.status = 'in_progress' then
    perform waybill.mark_unknown(p_job, j.attempt, j.tenant_id);
    update waybill.jobs set status = 'queued', claimed_by = null where id = p_job;
  end if;
  if j.attempt >= 5 and waybill.is_poisoned(p_job) then
    return query select 'poison', j, null::text, null::text, null::text, null::bigint, null::int;
    return;
  end if;
  if not (j.require <@ p_labels) then
    return query select 'label', j, null::text, null::text, null::text, null::bigint, null::int;
    return;
  end if;
  update waybill.jobs set status = 'in_progress', attempt = attempt + 1, claimed_by = p_worker,
    started_at = coalesce(started_at, clock_timestamp()), waiting_reason = null, waiting_since = null, waiting_until = null
    where id = p_job returning * into j;
  insert into waybill.attempts (job_id, n, run, target, status, worker_id, credential, permit, place, started_at)
    values (p_job, j.attempt, j.run, p_target, 'started', p_worker, p_credential, p_permit, p_place, clock_timestamp());
  if j.attempt = 1 then
    return query select 'claimed', j, p.request, p.carried, '[]', 0::bigint, 0 from waybill.payloads p where p.job_id = p_job;
    return;
  end if;
  return query select 'claimed', j, p.request, p.carried, h.history, h.cost, h.unknown
    from waybill.payloads p, lateral (
      select coalesce(json_agg(json_build_object('n', a.n, 'target', a.target, 'status', a.status, 'failure', a.failure_kind, 'credential', a.credential,
          'endedAtMs', (extract(epoch from a.ended_at) * 1000)::bigint, 'retryAtMs', (extract(epoch from a.retry_at) * 1000)::bigint) order by a.n)
          filter (where a.run = j.run), '[]')::text as history,
        coalesce(sum(a.cost_nano), 0)::bigint as cost,
        (count(*) filter (where a.cost_basis is not null and a.cost_nano is null))::int as unknown
      from waybill.attempts a where a.job_id = p_job and a.n < j.attempt) h
    where p.job_id = p_job;
end $$;

create function waybill.claim_jobs(p_items jsonb)
returns table (ord int, outcome text, job waybill.jobs, request text, carried text, history text, prior_cost_nano bigint, prior_unknown int) language plpgsql as $$
#variable_conflict use_column
declare
  i record;
begin
  for i in select * from jsonb_to_recordset(p_items) as x(ord int, job text, seq int, target text, worker text, labels jsonb, credential text, permit text, place text, epoch text)
  loop
    return query select i.ord, c.* from waybill.claim_job(i.job, i.seq, i.target, i.worker,
      array(select jsonb_array_elements_text(i.labels)), i.credential, i.permit, i.place, i.epoch) c;
  end loop;
end $$;
`;

const settle = `
-- One attempt's end: the job moves on where the fence holds, the attempt is closed and booked once, the receiver told.
create function waybill.settle_attempts(p_items jsonb, p_outputs text[], p_payloads text[], p_carried text[])
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
    delivery_id text, event_id text, event_type text, is_part boolean, carrying text)
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
      cost_nano = i.cost_nano, cost_basis = i.cost_basis, cost_reason = i.cost_reason, is_part = i.is_part and v_fenced
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
      update waybill.payloads set output = p_outputs[i.ord], output_attempt = i.attempt, carried = null where job_id = i.job;
    elsif v_fenced and i.carrying <> 'keep' then
      update waybill.payloads set carried = p_carried[i.ord] where job_id = i.job;
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

const coordination = `
alter table coordination.permits add column place text not null default 'default';
drop index coordination.permits_target;
create index permits_target on coordination.permits (target, place);
-- What congestion and the provider's own words leave of a place.
create unlogged table coordination.places (
  target text not null,
  place text not null,
  adaptive double precision,
  lowered_at timestamptz not null default '-infinity',
  rest_until timestamptz not null default '-infinity',
  primary key (target, place)
);

-- What a place takes at once now.
create function coordination.limit_of(p_target text, p_place text, p_configured int) returns int language sql stable as $$
  select greatest(1, floor(least(p_configured, coalesce((select adaptive from coordination.places where target = p_target and place = p_place), p_configured)))::int)
$$;

-- For each token the number of its place, or 0; then 0, or the ms until a place with room has rested. -1 alone: the epoch is not the store's own.
create function coordination.take_permits(p_epoch text, p_target text, p_places text[], p_limits int[], p_lease_ms int, p_tokens text[]) returns int[] language plpgsql as $$
declare
  v_used int[] := '{}';
  v_limit int[] := '{}';
  v_open boolean[] := '{}';
  v_rested int := 0;
  v_rest int;
  v_answer int[] := '{}';
  v_best int;
  v_token text;
begin
  perform pg_advisory_xact_lock(hashtext('waybill.permit'), hashtext(p_target));
  if not exists (select 1 from coordination.epochs where provider = split_part(p_target, '/', 1) and epoch = p_epoch) then
    return array[-1];
  end if;
  delete from coordination.permits where target = p_target and expires_at <= clock_timestamp();
  for p in 1 .. cardinality(p_places) loop
    v_used[p] := (select count(*) from coordination.permits where target = p_target and place = p_places[p]);
    v_limit[p] := coordination.limit_of(p_target, p_places[p], p_limits[p]);
    v_rest := (select ceil(extract(epoch from rest_until - clock_timestamp()) * 1000)::int from coordination.places
      where target = p_target and place = p_places[p] and rest_until > clock_timestamp());
    v_open[p] := v_rest is null;
    if v_rest is not null and v_used[p] < v_limit[p] and (v_rested = 0 or v_rest < v_rested) then v_rested := v_rest; end if;
  end loop;
  foreach v_token in array p_tokens loop
    v_best := 0;
    for p in 1 .. cardinality(p_places) loop
      if v_open[p] and v_used[p] < v_limit[p]
         and (v_best = 0 or v_used[p]::float8 / v_limit[p] < v_used[v_best]::float8 / v_limit[v_best]) then v_best := p; end if;
    end loop;
    v_answer := v_answer || v_best;
    if v_best > 0 then
      v_used[v_best] := v_used[v_best] + 1;
      insert into coordination.permits (token, target, place, expires_at)
        values (v_token, p_target, p_places[v_best], clock_timestamp() + make_interval(secs => p_lease_ms / 1000.0));
    end if;
  end loop;
  return v_answer || v_rested;
end $$;

-- One end after the other: congestion lowers a place once for all calls that were under way together.
create function coordination.note_pressure(p_target text, p_place text, p_configured int, p_factor float8, p_pressure text, p_held_ms float8, p_rest_ms float8) returns void language plpgsql as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  if p_pressure = 'congested' then
    insert into coordination.places as s (target, place, adaptive, lowered_at) values (p_target, p_place, greatest(1, p_configured * p_factor), v_now)
      on conflict (target, place) do update set adaptive = greatest(1, least(coalesce(s.adaptive, p_configured), p_configured) * p_factor), lowered_at = v_now
      where v_now - make_interval(secs => p_held_ms / 1000) >= s.lowered_at;
  elsif p_pressure = 'eased' then
    update coordination.places set adaptive = case when adaptive + 1 / adaptive >= p_configured then null else adaptive + 1 / adaptive end
      where target = p_target and place = p_place and adaptive is not null;
  end if;
  if p_rest_ms > 0 then
    insert into coordination.places as s (target, place, rest_until) values (p_target, p_place, v_now + make_interval(secs => p_rest_ms / 1000))
      on conflict (target, place) do update set rest_until = greatest(s.rest_until, excluded.rest_until);
  end if;
end $$;

-- Ends calls: their places are free, their ends count for the target's throughput. True: a place had been full.
create function coordination.settle_permits(p_target text, p_factor float8, p_items jsonb) returns boolean language plpgsql as $$
declare
  now_second bigint := extract(epoch from clock_timestamp())::bigint;
  was_full boolean;
  i record;
begin
  select coalesce(bool_or((select count(*) from coordination.permits u where u.target = p_target and u.place = x.place) >= coordination.limit_of(p_target, x.place, x.concurrency)), false)
    into was_full from (select distinct place, concurrency from jsonb_to_recordset(p_items) as y(place text, concurrency int)) x;
  delete from coordination.permits where token in (select y.token from jsonb_to_recordset(p_items) as y(token text));
  for i in select * from jsonb_to_recordset(p_items) as x(place text, concurrency int, pressure text, held_ms float8, rest_ms float8)
    order by place
  loop
    if i.pressure <> 'none' or i.rest_ms > 0 then
      perform coordination.note_pressure(p_target, i.place, i.concurrency, p_factor, i.pressure, i.held_ms, i.rest_ms);
    end if;
  end loop;
  insert into coordination.throughput (target, second, ended) values (p_target, now_second, jsonb_array_length(p_items))
    on conflict (target, second) do update set ended = coordination.throughput.ended + excluded.ended;
  delete from coordination.throughput where second < now_second - 60;
  insert into coordination.charges as c (target, tenant_id, why, tokens)
    select p_target, x.tenant, w.why, sum(case w.why when 'used' then x.used else x.estimated end)
    from jsonb_to_recordset(p_items) as x(tenant text, estimated bigint, used bigint), (values ('estimated'), ('used')) as w(why) group by x.tenant, w.why
    on conflict (target, tenant_id, why) do update set tokens = c.tokens + excluded.tokens;
  return was_full;
end $$;

-- The later deadline wins. True: it was not paused before.
create function coordination.pause(p_scope text, p_kind text, p_until timestamptz) returns boolean language plpgsql as $$
declare
  v_until timestamptz;
begin
  -- There may be no row to lock: of several that begin it at once, one is told that it is new.
  perform pg_advisory_xact_lock(hashtext('waybill.pause'), hashtext(p_scope));
  select until into v_until from coordination.pauses where scope = p_scope;
  insert into coordination.pauses as s (scope, kind, until) values (p_scope, p_kind, p_until)
    on conflict (scope) do update set kind = excluded.kind, until = greatest(s.until, excluded.until);
  return v_until is null or v_until <= clock_timestamp();
end $$;
`;

export const statements = [tables, claim, settle, coordination];

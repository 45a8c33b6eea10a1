/**
 * Settling in full: budgets, approval, the last resort, why a job moved on, and turns of a conversation.
 *
 * The function of the version before stays beside it, for rolling deploys.
 */
const conversations = `
-- Before any job is locked, and always in one order: two statements that carry turns of several conversations meet, and
-- one of them waits, never both.
create function waybill.lock_conversations(p_jobs text[]) returns void language plpgsql as $$
declare
  k record;
begin
  for k in select distinct hashtext(tenant_id || '/' || conversation) as key from waybill.jobs where id = any (p_jobs) and conversation is not null order by 1 loop
    perform pg_advisory_xact_lock(hashtext('waybill.conversation'), k.key);
  end loop;
end $$;

-- The next turn of a conversation may go when the one before is final, however that came about. A cancel or an expiry, which
-- has locked its job, waits for no claim that may want that job: a turn it cannot see then comes again by itself.
create function waybill.release_turn() returns trigger language plpgsql as $$
begin
  perform pg_try_advisory_xact_lock(hashtext('waybill.conversation'), hashtext(new.tenant_id || '/' || new.conversation));
  update waybill.jobs set available_at = clock_timestamp(), waiting_reason = null, waiting_since = null, waiting_until = null
    where id in (select id from waybill.jobs where id = (select id from waybill.jobs where tenant_id = new.tenant_id and conversation = new.conversation
        and status in ('queued', 'in_progress', 'awaiting_approval') order by id limit 1)
      and status = 'queued' and waiting_reason = 'conversation' and paused_at is null for update skip locked);
  return null;
end $$;
create trigger jobs_release_turn after update of status on waybill.jobs for each row
  when (new.conversation is not null and new.status in ('succeeded', 'failed', 'cancelled', 'expired') and old.status is distinct from new.status)
  execute function waybill.release_turn();

-- True: another turn of its conversation is before it or under way; it waits in the backlog until that one is final.
create function waybill.wait_for_turn(p_job text, p_seq int) returns boolean language plpgsql as $$
declare
  j waybill.jobs%rowtype;
begin
  select * into j from waybill.jobs where id = p_job;
  if j.conversation is null or j.status <> 'queued' then return false; end if;
  perform pg_advisory_xact_lock(hashtext('waybill.conversation'), hashtext(j.tenant_id || '/' || j.conversation));
  if not exists (select 1 from waybill.jobs o where o.tenant_id = j.tenant_id and o.conversation = j.conversation and o.id <> p_job
      and o.status in ('queued', 'in_progress', 'awaiting_approval') and (o.status = 'in_progress' or (o.status in ('queued', 'awaiting_approval') and o.id < p_job))) then
    return false;
  end if;
  update waybill.jobs set seq = seq + 1, dispatched_at = null, available_at = clock_timestamp() + interval '30 seconds', waiting_reason = 'conversation',
    waiting_since = coalesce(waiting_since, clock_timestamp()), waiting_until = null
    where id = p_job and seq = p_seq and status = 'queued';
  return true;
end $$;
`;

const telling = `
-- Told to whoever asked for such events of the job; the event's id is a function of what happened.
create function waybill.tell_step(j waybill.jobs, p_type text, p_id text, p_payload text) returns text language plpgsql as $$
declare
  v_delivery text;
begin
  if j.webhook_endpoint_id is null or not p_type = any (j.webhook_events) then return null; end if;
  insert into waybill.webhook_deliveries (id, event_id, tenant_id, endpoint_id, job_id, type, payload, traceparent)
    select p_id, 'evt_' || substr(j.id, 5) || '_' || j.run || '_' || substr(p_type, 5) || '_' || j.seq, j.tenant_id, e.id, j.id, p_type, p_payload, j.traceparent
    from waybill.webhook_endpoints e where e.id = j.webhook_endpoint_id and e.disabled_at is null
    on conflict do nothing returning id into v_delivery;
  return v_delivery;
end $$;

create function waybill.note_decision(j waybill.jobs, p_kind text, p_target text, p_next text, p_why text, p_detail text, p_version text) returns void language sql as $$
  insert into waybill.decisions (job_id, run, seq, kind, target, next_target, why, detail, config_version)
    values (j.id, j.run, j.seq, p_kind, p_target, p_next, p_why, p_detail, p_version) on conflict do nothing
$$;
`;

const settle = `
-- An attempt that was given up for lost ends nothing any more: its job is about to go on without it.
create function waybill.is_started(p_job text, p_attempt int) returns boolean language sql stable as $$
  select exists (select 1 from waybill.attempts where job_id = p_job and n = p_attempt and status = 'started')
$$;

-- One attempt's end: the job moves on where the fence holds, the attempt is closed and booked once, the receiver told.
create function waybill.settle_attempts(p_items jsonb, p_outputs text[], p_payloads text[], p_carried text[], p_budgets jsonb)
returns table (ord int, is_fenced boolean, delivery_id text, job waybill.jobs, is_budget_freed boolean) language plpgsql as $$
#variable_conflict use_column
declare
  i record; k record;
  j waybill.jobs%rowtype;
  v_fenced boolean;
  v_freed text[];
  v_delivery text;
  v_status text;
  v_target text;
begin
  select array_agg(x.job) as jobs, array_agg(x.attempt) as attempts, array_agg(x.cost_nano) as costs into k
    from jsonb_to_recordset(p_items) as x(job text, attempt int, cost_nano bigint);
  perform waybill.lock_reserved(k.jobs, k.attempts);
  perform waybill.lock_conversations(k.jobs);
  v_freed := waybill.settle_budgets(k.jobs, k.attempts, k.costs, p_budgets);
  for i in select * from jsonb_to_recordset(p_items) as x(ord int, job text, attempt int, status text,
    next text, final_status text, error_kind text, error_message text,
    next_target text, delay_ms int, waiting text, window_size int, longest_queued_ms int,
    failure_kind text, failure_message text, http_status int, duration_ms int, first_byte_ms int, retry_at timestamptz,
    request_id text, response_model text, usage text, warnings text, input_tokens int, output_tokens int,
    cost_nano bigint, cost_basis text, cost_reason text, price_snapshot text, price_source text, price_version text, is_booked boolean,
    delivery_id text, event_id text, event_type text, is_part boolean, carrying text, is_last_resort boolean, require jsonb, detected jsonb,
    decision text, decision_why text, decision_detail text, config_version text)
  loop
    if i.next = 'requeue' then
      update waybill.jobs set status = 'queued', seq = seq + 1, target = i.next_target, provider = split_part(i.next_target, '/', 1),
        precedence = 0, claimed_by = null, available_at = clock_timestamp() + i.delay_ms * interval '1 millisecond',
        waiting_reason = case when i.delay_ms > 0 then i.waiting end,
        waiting_since = case when i.delay_ms > 0 and i.waiting is not null then clock_timestamp() end,
        waiting_until = case when i.delay_ms > 0 and i.waiting is not null then clock_timestamp() + i.delay_ms * interval '1 millisecond' end,
        limited_since = case when i.waiting = 'rate_limit' and target = i.next_target then coalesce(limited_since, clock_timestamp()) end,
        require = case when i.require is null then require else array(select jsonb_array_elements_text(i.require)) end,
        detected = case when i.detected is null then detected else array(select jsonb_array_elements_text(i.detected)) end,
        dispatched_at = case when i.delay_ms <= i.longest_queued_ms and (select count(*) from (select 1 from waybill.jobs d
          where d.target = i.next_target and d.status = 'queued' and d.dispatched_at is not null limit i.window_size) used) < i.window_size
          then clock_timestamp() end
      where id = i.job and status = 'in_progress' and attempt = i.attempt and waybill.is_started(i.job, i.attempt) returning * into j;
    elsif i.next = 'park' then
      update waybill.jobs set status = 'awaiting_approval', seq = seq + 1, target = i.next_target, provider = split_part(i.next_target, '/', 1),
        precedence = 0, claimed_by = null, dispatched_at = null, limited_since = null,
        require = case when i.require is null then require else array(select jsonb_array_elements_text(i.require)) end,
        detected = case when i.detected is null then detected else array(select jsonb_array_elements_text(i.detected)) end,
        waiting_reason = 'approval', waiting_since = clock_timestamp(), waiting_until = deadline_at
      where id = i.job and status = 'in_progress' and attempt = i.attempt and waybill.is_started(i.job, i.attempt) returning * into j;
    else
      update waybill.jobs set status = i.final_status, seq = seq + 1, finished_at = clock_timestamp(), dispatched_at = null,
        error_kind = i.error_kind, error_message = i.error_message, is_last_resort = i.is_last_resort, limited_since = null,
        waiting_reason = null, waiting_since = null, waiting_until = null
      where id = i.job and status = 'in_progress' and attempt = i.attempt and waybill.is_started(i.job, i.attempt) returning * into j;
    end if;
    v_fenced := found;
    v_delivery := null;
    v_status := case when v_fenced then i.status when i.status = 'aborted' then 'aborted' else 'superseded' end;
    update waybill.attempts set status = v_status, failure_kind = i.failure_kind, failure_message = i.failure_message,
      http_status = i.http_status, ended_at = clock_timestamp(), duration_ms = i.duration_ms, first_byte_ms = i.first_byte_ms,
      retry_at = i.retry_at, provider_request_id = i.request_id, response_model = i.response_model, usage = i.usage, warnings = i.warnings,
      input_tokens = coalesce(i.input_tokens, input_tokens), output_tokens = coalesce(i.output_tokens, output_tokens),
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
    if v_fenced and i.decision is not null then
      perform waybill.note_decision(j, i.decision, v_target, i.next_target, i.decision_why, i.decision_detail, i.config_version);
    end if;
    if v_fenced and i.delivery_id is not null and i.next in ('requeue', 'park') then
      v_delivery := waybill.tell_step(j, i.event_type, i.delivery_id, p_payloads[i.ord]);
    elsif v_fenced and i.delivery_id is not null and j.webhook_endpoint_id is not null then
      insert into waybill.webhook_deliveries (id, event_id, tenant_id, endpoint_id, job_id, type, payload, queued_at, traceparent)
        select i.delivery_id, i.event_id, j.tenant_id, e.id, j.id, i.event_type, p_payloads[i.ord], now(), j.traceparent
        from waybill.webhook_endpoints e where e.id = j.webhook_endpoint_id and e.disabled_at is null
        on conflict do nothing returning id into v_delivery;
    end if;
    return query select i.ord, v_fenced, v_delivery, case when v_fenced then j end, i.job = any (v_freed);
  end loop;
end $$;
`;

export const statements = [conversations, telling, settle];

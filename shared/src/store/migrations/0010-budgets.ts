/**
 * Budgets, in the claim and the settle alone: what a call may cost is reserved before it and corrected after it.
 *
 * The windows a statement touches are locked first and in one order, before any job; so two statements that meet wait for
 * each other and never for ever. A statement carries many jobs, so that one big tenant's window is locked once for all of
 * them. The functions that processes of the version before call stay beside the new ones.
 */
const tables = `
create table waybill.budget_windows (
  key text not null,
  starts_at timestamptz not null,
  committed_nano bigint not null default 0,
  reserved_nano bigint not null default 0,
  primary key (key, starts_at)
) with (fillfactor = 50);
create table waybill.budget_reservations (
  job_id text not null,
  attempt int not null,
  key text not null,
  starts_at timestamptz not null,
  nano bigint not null,
  -- Its call ended with a cost that nobody knows: what was reserved is taken for spent, until somebody knows better.
  is_committed boolean not null default false,
  primary key (job_id, attempt, key, starts_at)
);
create index budget_reservations_open on waybill.budget_reservations (job_id) where not is_committed;
-- What a window holds of unknown costs.
create index budget_reservations_unknown on waybill.budget_reservations (key, starts_at) where is_committed;
`;

const subjects = `
-- Whom a rule counts for a job: the name that "only" lists, and the key under which is counted; null: it is not about this job.
create function waybill.budget_subject(p_rule jsonb, j waybill.jobs, p_target text, out name text, out key text) language sql immutable as $$
  select s.name, (p_rule->>'id') || ':' || case when p_rule->>'per' in ('end_user', 'metadata') then j.tenant_id || '/' || s.name else s.name end
  from (select case p_rule->>'per'
    when 'tenant' then regexp_replace(j.tenant_id, '^ten_', '') when 'api_key' then j.api_key_id when 'end_user' then j.end_user
    when 'provider' then split_part(p_target, '/', 1) when 'model' then p_target when 'metadata' then j.metadata->>(p_rule->>'field') end as name) s
  where s.name is not null
$$;

-- The rules that hold for a job, each with its window, the same one all through a transaction; of two that count the same the first.
create function waybill.budgets_of(j waybill.jobs, p_target text, p_budgets jsonb) returns table (key text, starts_at timestamptz, rule jsonb) language sql stable as $$
  select distinct on (s.key) s.key, date_trunc(r.rule->>'period', now() at time zone 'UTC') at time zone 'UTC', r.rule
  from jsonb_array_elements(p_budgets) with ordinality as r (rule, ord), waybill.budget_subject(r.rule, j, p_target) s
  where s.key is not null and (jsonb_typeof(r.rule->'only') <> 'array' or r.rule->'only' ? s.name)
  order by s.key, r.ord
$$;

-- Locks the windows, always in the order of their keys. Who waits for a row is passed by newcomers each time it is written, and might
-- wait for ever: so there is a queue before the row. It has places in shared memory, so a statement with many windows goes without.
create function waybill.lock_budgets(p_keys text[], p_starts timestamptz[]) returns void language plpgsql as $$
declare
  k record;
begin
  if (select count(distinct key) from unnest(p_keys) as u(key)) <= 16 then
    for k in select distinct hashtext(u.key) as place from unnest(p_keys) as u(key) order by 1 loop
      perform pg_advisory_xact_lock(hashtext('waybill.budget'), k.place);
    end loop;
  end if;
  for k in select distinct u.key, u.starts_at from unnest(p_keys, p_starts) as u(key, starts_at) order by 1, 2 loop
    perform 1 from waybill.budget_windows w where w.key = k.key and w.starts_at = k.starts_at for update;
    if not found then
      insert into waybill.budget_windows (key, starts_at) values (k.key, k.starts_at) on conflict do nothing;
      perform 1 from waybill.budget_windows w where w.key = k.key and w.starts_at = k.starts_at for update;
    end if;
  end loop;
end $$;

-- Nano-USD, rounded up; null where a price or a bound is not known, unless it does not matter. Prices are per million tokens.
create function waybill.cost_of_tokens(p_input bigint, p_output bigint, p_prices jsonb) returns bigint language sql immutable as $$
  select ceil((p_input * (p_prices->>0)::numeric + case when (p_prices->>1)::numeric = 0 then 0 else p_output * (p_prices->>1)::numeric end) / 1000000)::bigint
$$;

-- What a call is taken to cost. p_prices: expected, largest and dearest, each a list of two, or null; maxOutput where the request has no bound.
create function waybill.budget_amount(j waybill.jobs, p_reserve text, p_unknown text, p_prices jsonb) returns bigint language sql immutable as $$
  select coalesce(
    case when p_reserve = 'max' then waybill.cost_of_tokens(j.input_bound, coalesce(j.output_bound, (p_prices->>'maxOutput')::int), p_prices->'largest')
      else waybill.cost_of_tokens(j.estimated_tokens - j.estimated_output, j.estimated_output, p_prices->'expected') end,
    case p_unknown when 'allow' then 0
      when 'reserve_max' then waybill.cost_of_tokens(j.input_bound, coalesce(j.output_bound, (p_prices->>'maxOutput')::int, j.estimated_output), p_prices->'dearest') end)
$$;
`;

const claim = `
-- Why a call may not be paid for, or null: then what it may cost is reserved for its attempt.
create function waybill.reserve_budgets(j waybill.jobs, p_target text, p_attempt int, p_budgets jsonb, p_prices jsonb) returns jsonb language plpgsql as $$
declare
  b record; w record;
  v_amount bigint;
  v_keys text[] := '{}'; v_starts timestamptz[] := '{}'; v_amounts bigint[] := '{}';
  v_waits jsonb;
begin
  for b in select * from waybill.budgets_of(j, p_target, p_budgets) loop
    v_amount := waybill.budget_amount(j, b.rule->>'reserve', b.rule->>'onUnknownPrice', p_prices);
    if v_amount is null then
      return jsonb_build_object('outcome', 'budget_unpriced', 'key', b.key, 'per', b.rule->'per', 'onExceeded', b.rule->'onExceeded');
    end if;
    if v_amount = 0 then
      -- Let through without a price: what it turns out to cost is counted all the same.
      if jsonb_typeof(p_prices->'expected') is distinct from 'array' then
        v_keys := v_keys || b.key; v_starts := v_starts || b.starts_at; v_amounts := v_amounts || 0::bigint;
      end if;
      continue;
    end if;
    select committed_nano, reserved_nano into w from waybill.budget_windows where key = b.key and starts_at = b.starts_at;
    if w.committed_nano + v_amount > (b.rule->>'limitNano')::bigint then
      return jsonb_build_object('outcome', 'budget_exceeded', 'key', b.key, 'per', b.rule->'per', 'onExceeded', b.rule->'onExceeded');
    elsif w.committed_nano + w.reserved_nano + v_amount > (b.rule->>'limitNano')::bigint then
      v_waits := jsonb_build_object('outcome', 'budget_wait', 'key', b.key, 'per', b.rule->'per');
    end if;
    v_keys := v_keys || b.key; v_starts := v_starts || b.starts_at; v_amounts := v_amounts || v_amount;
  end loop;
  if v_waits is not null then return v_waits; end if;
  insert into waybill.budget_reservations (job_id, attempt, key, starts_at, nano)
    select j.id, p_attempt, k, s, n from unnest(v_keys, v_starts, v_amounts) as u(k, s, n);
  update waybill.budget_windows x set reserved_nano = reserved_nano + n from unnest(v_keys, v_starts, v_amounts) as u(k, s, n)
    where x.key = u.k and x.starts_at = u.s;
  return null;
end $$;

-- As before, with: labels that the configuration requires of all, what is reserved of rates, prices, and budgets.
create function waybill.claim_job(p_job text, p_seq int, p_target text, p_worker text, p_labels text[], p_require text[], p_credential text, p_permit text,
  p_place text, p_epoch text, p_prices jsonb, p_budgets jsonb)
returns table (outcome text, job waybill.jobs, request text, carried text, history text, prior_cost_nano bigint, prior_unknown int, detail text) language plpgsql as $$
#variable_conflict use_column
declare
  j waybill.jobs%rowtype;
  h record;
  v_refused jsonb;
  p_provider text := split_part(p_target, '/', 1);
begin
  perform pg_advisory_xact_lock_shared(hashtext('waybill.epoch'), hashtext(p_provider));
  if not exists (select 1 from waybill.epochs e where e.provider = p_provider and e.epoch = p_epoch) then
    return query select 'old_epoch', null::waybill.jobs, null::text, null::text, null::text, null::bigint, null::int, null::text;
    return;
  end if;
  if exists (select 1 from waybill.jobs where id = p_job and conversation is not null and seq = p_seq and target = p_target and status = 'queued')
     and waybill.wait_for_turn(p_job, p_seq) then
    return query select 'turn', null::waybill.jobs, null::text, null::text, null::text, null::bigint, null::int, null::text;
    return;
  end if;
  select * into j from waybill.jobs where id = p_job for update;
  -- The same claim again, because its answer was lost on the way: it stands.
  if found and j.status = 'in_progress' and j.claimed_by = p_worker and exists (
      select 1 from waybill.attempts a where a.job_id = p_job and a.n = j.attempt and a.status = 'started' and a.permit = p_permit) then
    return query select 'claimed', j, p.request, p.carried, h.history, h.cost, h.unknown, null::text
      from waybill.payloads p, waybill.history_of(p_job, j.run, j.attempt) h where p.job_id = p_job;
    return;
  end if;
  if not found or j.seq <> p_seq or j.target <> p_target or j.deadline_at <= clock_timestamp()
     or not waybill.is_alive(p_worker)
     or not (j.status = 'queued' or (j.status = 'in_progress' and not waybill.is_alive(j.claimed_by))) then
    return query select 'stale', null::waybill.jobs, null::text, null::text, null::text, null::bigint, null::int, null::text;
    return;
  end if;
  if j.status = 'in_progress' then
    perform waybill.mark_unknown(p_job, j.attempt, j.tenant_id);
    update waybill.jobs set status = 'queued', claimed_by = null where id = p_job;
  end if;
  if j.attempt >= 5 and waybill.is_poisoned(p_job) then
    return query select 'poison', j, null::text, null::text, null::text, null::bigint, null::int, null::text;
    return;
  end if;
  if not (j.require || p_require <@ p_labels) then
    return query select 'label', j, null::text, null::text, null::text, null::bigint, null::int, null::text;
    return;
  end if;
  select '[]'::text as history, 0::bigint as cost, 0 as unknown into h;
  if j.attempt > 0 then select * into h from waybill.history_of(p_job, j.run, j.attempt + 1); end if;
  -- What earlier attempts cost that nobody knows may have been as much as this one.
  if j.max_cost_nano is not null and coalesce(h.cost + (h.unknown + 1)
       * coalesce(waybill.budget_amount(j, 'max', 'block', p_prices), waybill.budget_amount(j, 'expected', 'reserve_max', p_prices)) > j.max_cost_nano, true) then
    return query select 'max_cost', j, null::text, null::text, null::text, null::bigint, null::int, null::text;
    return;
  end if;
  if jsonb_array_length(p_budgets) > 0 then
    v_refused := waybill.reserve_budgets(j, p_target, j.attempt + 1, p_budgets, p_prices);
    if v_refused is not null then
      return query select v_refused->>'outcome', j, null::text, null::text, null::text, null::bigint, null::int, v_refused::text;
      return;
    end if;
  end if;
  update waybill.jobs set status = 'in_progress', attempt = attempt + 1, claimed_by = p_worker,
    started_at = coalesce(started_at, clock_timestamp()), waiting_reason = null, waiting_since = null, waiting_until = null
    where id = p_job returning * into j;
  insert into waybill.attempts (job_id, n, run, target, status, worker_id, credential, permit, place, input_tokens, output_tokens, started_at)
    values (p_job, j.attempt, j.run, p_target, 'started', p_worker, p_credential, p_permit, p_place,
      j.estimated_tokens - j.estimated_output, j.estimated_output, clock_timestamp());
  return query select 'claimed', j, p.request, p.carried, h.history, h.cost, h.unknown, null::text from waybill.payloads p where p.job_id = p_job;
end $$;

create function waybill.claim_jobs(p_items jsonb, p_budgets jsonb)
returns table (ord int, outcome text, job waybill.jobs, request text, carried text, history text, prior_cost_nano bigint, prior_unknown int, detail text) language plpgsql as $$
#variable_conflict use_column
declare
  i record; k record;
begin
  if jsonb_array_length(p_budgets) > 0 then
    select array_agg(b.key) as keys, array_agg(b.starts_at) as starts into k
      from jsonb_to_recordset(p_items) as x(job text, target text) join waybill.jobs j on j.id = x.job, waybill.budgets_of(j, x.target, p_budgets) b;
    perform waybill.lock_budgets(k.keys, k.starts);
  end if;
  perform waybill.lock_conversations(array(select x.job from jsonb_to_recordset(p_items) as x(job text)));
  for i in select * from jsonb_to_recordset(p_items) as x(ord int, job text, seq int, target text, worker text, labels jsonb, require jsonb, credential text,
    permit text, place text, epoch text, prices jsonb)
  loop
    return query select i.ord, c.* from waybill.claim_job(i.job, i.seq, i.target, i.worker, array(select jsonb_array_elements_text(i.labels)),
      array(select jsonb_array_elements_text(i.require)), i.credential, i.permit, i.place, i.epoch, i.prices, p_budgets) c;
  end loop;
end $$;
`;

const correct = `
create function waybill.usd_text(p_nano bigint) returns text language sql immutable as $$
  select regexp_replace((p_nano::numeric / 1000000000)::numeric(30, 9)::text, '0{1,7}$', '')
$$;

-- The id of the event that tells of a threshold. A subject may be long: what is cut off is told apart by its hash.
create function waybill.budget_alert_id(p_key text, p_starts timestamptz, p_part numeric) returns text language sql stable as $$
  select 'budget.threshold ' || case when length(p_key) > 200 then left(p_key, 160) || ' ' || md5(p_key) else p_key end
    || ' ' || to_char(p_starts at time zone 'UTC', 'YYYY-MM-DD') || ' ' || p_part
$$;

-- Somebody is told once per window and threshold, whoever crosses it.
create function waybill.alert_budget(p_key text, p_starts timestamptz, p_budgets jsonb) returns void language plpgsql as $$
declare
  w waybill.budget_windows%rowtype;
  a record;
begin
  select * into w from waybill.budget_windows where key = p_key and starts_at = p_starts;
  for a in select r.rule, t.value::numeric as part from (
      select rule from jsonb_array_elements(p_budgets) with ordinality as e (rule, ord)
        where rule->>'id' = split_part(p_key, ':', 1)
          and (jsonb_typeof(rule->'only') <> 'array' or rule->'only' ? regexp_replace(substr(p_key, strpos(p_key, ':') + 1), case when rule->>'per' in ('end_user', 'metadata') then '^[^/]*/' else '^$' end, ''))
        order by ord limit 1) r,
      jsonb_array_elements_text(r.rule->'alertAt') t (value)
    where w.committed_nano >= (r.rule->>'limitNano')::numeric * t.value::numeric
  loop
    insert into waybill.events (id, type, data) values (waybill.budget_alert_id(p_key, p_starts, a.part), 'budget.threshold',
      json_build_object('budget', a.rule->>'id', 'subject', substr(p_key, strpos(p_key, ':') + 1), 'period', a.rule->>'period',
        'window_start', to_char(p_starts at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'threshold', a.part,
        'committed_usd', waybill.usd_text(w.committed_nano), 'limit_usd', waybill.usd_text((a.rule->>'limitNano')::bigint))::text)
      on conflict (id) do nothing;
  end loop;
end $$;

-- The ends of attempts, or what is learned of them later: what was reserved gives way to what they cost. p_costs null: nobody knows.
-- Their windows are locked, and each is written once. Returns the jobs of which something was reserved.
create function waybill.settle_budgets(p_jobs text[], p_attempts int[], p_costs bigint[], p_budgets jsonb) returns text[] language plpgsql as $$
declare
  v_jobs text[]; v_keys text[]; v_starts timestamptz[];
begin
  with r as (
    select x.*, u.cost from (select distinct on (job, attempt) * from unnest(p_jobs, p_attempts, p_costs) as e(job, attempt, cost) order by job, attempt) u
      join waybill.budget_reservations x on x.job_id = u.job and x.attempt = u.attempt
  ), known as (
    delete from waybill.budget_reservations b using r where r.cost is not null
      and b.job_id = r.job_id and b.attempt = r.attempt and b.key = r.key and b.starts_at = r.starts_at
  ), not_known as (
    update waybill.budget_reservations b set is_committed = true from r where r.cost is null and not r.is_committed
      and b.job_id = r.job_id and b.attempt = r.attempt and b.key = r.key and b.starts_at = r.starts_at
  ), written as (
    update waybill.budget_windows w set reserved_nano = w.reserved_nano - s.reserved, committed_nano = w.committed_nano + s.committed
      from (select r.key, r.starts_at, sum(case when r.is_committed then 0 else r.nano end)::bigint as reserved,
        sum(coalesce(r.cost, r.nano) - case when r.is_committed then r.nano else 0 end)::bigint as committed from r group by 1, 2) s
      where w.key = s.key and w.starts_at = s.starts_at returning w.key, w.starts_at
  )
  select (select array_agg(distinct r.job_id) from r), array_agg(written.key), array_agg(written.starts_at) into v_jobs, v_keys, v_starts from written;
  for i in 1 .. coalesce(cardinality(v_keys), 0) loop
    perform waybill.alert_budget(v_keys[i], v_starts[i], p_budgets);
  end loop;
  return coalesce(v_jobs, '{}');
end $$;

create function waybill.lock_reserved(p_jobs text[], p_attempts int[]) returns void language plpgsql as $$
declare
  k record;
begin
  select array_agg(r.key) as keys, array_agg(r.starts_at) as starts into k
    from unnest(p_jobs, p_attempts) as u(job, attempt) join waybill.budget_reservations r on r.job_id = u.job and r.attempt = u.attempt;
  if k.keys is not null then perform waybill.lock_budgets(k.keys, k.starts); end if;
end $$;

-- Attempts whose worker died: what was reserved for them is taken for spent. Returns how many.
create function waybill.commit_lost(p_limit int, p_budgets jsonb) returns int language plpgsql as $$
declare
  l record;
begin
  select array_agg(x.job_id) as jobs, array_agg(x.attempt) as attempts into l from (
    select distinct r.job_id, r.attempt from waybill.budget_reservations r join waybill.attempts a on a.job_id = r.job_id and a.n = r.attempt
    where not r.is_committed and a.status = 'unknown' limit p_limit) x;
  if l.jobs is null then return 0; end if;
  perform waybill.lock_reserved(l.jobs, l.attempts);
  -- One may have been settled since.
  select array_agg(a.job_id) as jobs, array_agg(a.n) as attempts into l from unnest(l.jobs, l.attempts) as u(job, attempt)
    join waybill.attempts a on a.job_id = u.job and a.n = u.attempt where a.status = 'unknown' and a.cost_nano is null;
  perform waybill.settle_budgets(l.jobs, l.attempts, array_fill(null::bigint, array[coalesce(cardinality(l.jobs), 0)]), p_budgets);
  return coalesce(cardinality(l.jobs), 0);
end $$;
`;

export const statements = [tables, subjects, claim, correct];

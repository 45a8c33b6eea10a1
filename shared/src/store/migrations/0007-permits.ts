/**
 * The permit in full: rates per account, the breaker, the budget of retries, in the one step that lets a call go.
 *
 * The same as the scripts on Redis (`coordination/redis/`). The functions of the version before stay, for rolling deploys.
 */
import { keptRoom } from '../../coordination/coordination.ts';
import { pacingShare } from '../../routing/limits.ts';

const earlier = `
-- What the earlier attempts of the run were, and what all earlier ones cost.
create function waybill.history_of(p_job text, p_run int, p_before int) returns table (history text, cost bigint, unknown int) language sql stable as $$
  select coalesce(json_agg(json_build_object('n', a.n, 'target', a.target, 'status', a.status, 'failure', a.failure_kind, 'credential', a.credential,
      'endedAtMs', (extract(epoch from a.ended_at) * 1000)::bigint, 'retryAtMs', (extract(epoch from a.retry_at) * 1000)::bigint) order by a.n)
      filter (where a.run = p_run), '[]')::text as history,
    coalesce(sum(a.cost_nano), 0)::bigint as cost,
    (count(*) filter (where a.cost_basis is not null and a.cost_nano is null))::int as unknown
  from waybill.attempts a where a.job_id = p_job and a.n < p_before
$$;

-- As before, but that the pause which lasts longer says why.
create or replace function coordination.pause(p_scope text, p_kind text, p_until timestamptz) returns boolean language plpgsql as $$
declare
  v_until timestamptz;
begin
  perform pg_advisory_xact_lock(hashtext('waybill.pause'), hashtext(p_scope));
  select until into v_until from coordination.pauses where scope = p_scope;
  insert into coordination.pauses as s (scope, kind, until) values (p_scope, p_kind, p_until)
    on conflict (scope) do update set kind = case when excluded.until > s.until then excluded.kind else s.kind end, until = greatest(s.until, excluded.until);
  return v_until is null or v_until <= clock_timestamp();
end $$;
`;

const tables = `
-- What an account has reserved of a limit: routing/limits.ts. Slots by their number modulo their count, from 1.
create unlogged table coordination.rates (
  target text not null,
  account text not null,
  name text not null,
  newest bigint not null,
  total bigint not null,
  level double precision not null,
  at_ms double precision not null,
  slots bigint[] not null,
  primary key (target, account, name)
);
-- A large call that small ones leave room for.
create unlogged table coordination.kept_room (
  target text not null,
  account text not null,
  job text not null,
  input bigint not null,
  output bigint not null,
  until_ms double precision not null,
  primary key (target, account)
);
create unlogged table coordination.breakers (
  target text primary key,
  version int not null default 0,
  -- JSON text; null: closed.
  state text,
  probe_token text,
  probe_until timestamptz
);
create unlogged table coordination.outcomes (
  target text not null,
  slot bigint not null,
  ok int not null default 0,
  failed int not null default 0,
  ms bigint not null default 0,
  primary key (target, slot)
);
-- Failures in a row, and what is usual, fading.
create unlogged table coordination.usual (
  target text primary key,
  run int not null default 0,
  ok double precision not null default 0,
  failed double precision not null default 0,
  ms double precision not null default 0,
  at_ms double precision not null
);
create unlogged table coordination.retries (
  provider text primary key,
  level double precision not null,
  at_ms double precision not null
);

create function coordination.now_ms() returns double precision language sql volatile as $$
  select floor(extract(epoch from clock_timestamp()) * 1000)::float8
$$;
`;

const rates = `
create function coordination.amount_of(p_unit text, p_input bigint, p_output bigint) returns bigint language sql immutable as $$
  select case p_unit when 'requests' then 1 when 'input' then p_input when 'output' then p_output else p_input + p_output end
$$;

-- The window as it is now; nothing is written.
create function coordination.rate_at(p_target text, p_account text, p_limit jsonb, p_now float8) returns coordination.rates language plpgsql as $$
declare
  r coordination.rates%rowtype;
  v_slots int := (p_limit->>'slots')::int;
  v_most float8 := (p_limit->>'limit')::float8 * ${pacingShare};
  v_now float8;
  v_current bigint;
  v_at int;
begin
  select * into r from coordination.rates where target = p_target and account = p_account and name = p_limit->>'name';
  if not found or cardinality(r.slots) <> v_slots then
    r.target := p_target; r.account := p_account; r.name := p_limit->>'name';
    r.newest := floor(p_now / (p_limit->>'slotMs')::float8); r.total := 0; r.level := v_most; r.at_ms := p_now;
    r.slots := array_fill(0::bigint, array[v_slots]);
    return r;
  end if;
  -- The account's clock never goes back, even where the server's does.
  v_now := greatest(p_now, r.at_ms);
  v_current := greatest(r.newest, floor(v_now / (p_limit->>'slotMs')::float8));
  if v_current - r.newest >= v_slots then
    r.total := 0; r.slots := array_fill(0::bigint, array[v_slots]);
  else
    -- A loop counts in 32 bits, which the number of a slot may need more than.
    for n in 1 .. v_current - r.newest loop
      v_at := (r.newest + n) % v_slots + 1;
      r.total := r.total - r.slots[v_at];
      r.slots[v_at] := 0;
    end loop;
  end if;
  r.newest := v_current;
  r.level := least(v_most, r.level + (v_now - r.at_ms) * (p_limit->>'limit')::float8 / (p_limit->>'periodMs')::float8);
  r.at_ms := v_now;
  return r;
end $$;

create function coordination.save_rate(r coordination.rates) returns void language sql as $$
  insert into coordination.rates select r.* on conflict (target, account, name) do update
    set newest = excluded.newest, total = excluded.total, level = excluded.level, at_ms = excluded.at_ms, slots = excluded.slots
$$;

-- When so much has left the window, in ms from now.
create function coordination.until_free(r coordination.rates, p_limit jsonb, p_excess bigint) returns float8 language plpgsql immutable as $$
declare
  v_slots int := cardinality(r.slots);
  v_excess bigint := p_excess;
begin
  for n in 1 .. v_slots loop
    v_excess := v_excess - r.slots[(r.newest + n) % v_slots + 1];
    if v_excess <= 0 then return (r.newest + n) * (p_limit->>'slotMs')::float8 - r.at_ms; end if;
  end loop;
  return (p_limit->>'slotMs')::float8;
end $$;

-- How long such a call waits for a limit, and how long any would.
create function coordination.rate_wait(r coordination.rates, p_limit jsonb, p_need bigint, p_kept bigint, out own float8, out each float8) language plpgsql immutable as $$
declare
  v_limit bigint := (p_limit->>'limit')::bigint;
begin
  own := 0; each := 0;
  if (p_limit->>'isPaced')::boolean and r.level <= 0 then
    own := 1 - r.level * (p_limit->>'periodMs')::float8 / v_limit;
    each := own;
  end if;
  if r.total + p_need + p_kept > v_limit then
    own := greatest(own, coordination.until_free(r, p_limit, r.total + p_need + p_kept - v_limit));
  end if;
  if r.total >= v_limit then each := greatest(each, coordination.until_free(r, p_limit, r.total + 1 - v_limit)); end if;
end $$;

-- What was really used stands in the place of what was reserved then; of a slot that is over only the bucket learns.
create function coordination.corrected(r coordination.rates, p_limit jsonb, p_difference bigint, p_at float8) returns coordination.rates language plpgsql immutable as $$
declare
  v_slot bigint := least(r.newest, floor(p_at / (p_limit->>'slotMs')::float8));
begin
  r.level := r.level - p_difference;
  if v_slot > r.newest - cardinality(r.slots) then
    r.total := r.total + p_difference;
    r.slots[v_slot % cardinality(r.slots) + 1] := r.slots[v_slot % cardinality(r.slots) + 1] + p_difference;
  end if;
  return r;
end $$;
`;

const take = `
-- Whether calls may start: the ms until they may (-1: not known) in shut, or the state whose probe may start in probed.
create function coordination.breaker_of(p_target text, p_now float8, out shut float8, out probed jsonb) language plpgsql as $$
declare
  b coordination.breakers%rowtype;
  v_state jsonb;
begin
  select state::jsonb into v_state from coordination.breakers where target = split_part(p_target, '/', 1) || '/*' and state is not null;
  if v_state->>'kind' = 'open' and coalesce((v_state->>'untilMs')::float8 > p_now, true) then
    shut := coalesce((v_state->>'untilMs')::float8 - p_now, -1);
  end if;
  select * into b from coordination.breakers where target = p_target and state is not null for update;
  if not found then return; end if;
  v_state := b.state::jsonb;
  if v_state->>'kind' = 'open' and coalesce((v_state->>'untilMs')::float8 > p_now, true) then
    shut := case when shut < 0 or (v_state->>'untilMs') is null then -1 else greatest(shut, (v_state->>'untilMs')::float8 - p_now) end;
  elsif b.probe_until > clock_timestamp() then shut := -1;
  else probed := v_state;
  end if;
end $$;

-- p_places: id, concurrency, account (number); p_requests: token, job, input, output. The answers are those of the script on Redis.
create function coordination.take(p_epoch text, p_target text, p_places jsonb, p_accounts text[], p_limits jsonb, p_lease_ms int, p_requests jsonb)
returns jsonb language plpgsql as $$
declare
  v_now float8;
  v_lease interval := make_interval(secs => p_lease_ms / 1000.0);
  v_limits int := jsonb_array_length(p_limits);
  v_places int := jsonb_array_length(p_places);
  v_shut float8; v_probed jsonb; v_has_probe boolean := false;
  v_used int[] := '{}'; v_limit int[] := '{}'; v_account int[] := '{}'; v_open boolean[] := '{}';
  v_rates coordination.rates[] := '{}'; r coordination.rates%rowtype;
  v_kept coordination.kept_room[] := '{}'; k coordination.kept_room%rowtype;
  v_rest float8; v_rested float8 := -1;
  v_answers jsonb := '[]';
  q record; l jsonb;
  v_best int; v_taken int; v_wait float8; v_all float8; v_soonest int; v_own float8; v_each float8; w record; n int; v_need bigint; v_at float8;
begin
  perform pg_advisory_xact_lock(hashtext('waybill.permit'), hashtext(p_target));
  if not exists (select 1 from coordination.epochs where provider = split_part(p_target, '/', 1) and epoch = p_epoch) then
    return '[[-1, 0, 0, 0]]';
  end if;
  v_now := coordination.now_ms();
  if exists (select 1 from coordination.breakers where target in (split_part(p_target, '/', 1) || '/*', p_target) and state is not null) then
    select b.shut, b.probed into v_shut, v_probed from coordination.breaker_of(p_target, v_now) b;
    if v_shut is not null then
      return (select jsonb_agg(jsonb_build_array(0, 3, ceil(v_shut), -1)) from jsonb_array_elements(p_requests));
    end if;
  end if;
  if exists (select 1 from coordination.permits where target = p_target and expires_at <= clock_timestamp()) then
    -- One that is being settled goes without us.
    delete from coordination.permits where token in
      (select token from coordination.permits where target = p_target and expires_at <= clock_timestamp() for update skip locked);
  end if;
  for p in 1 .. v_places loop
    l := p_places->(p - 1);
    v_account[p] := (l->>'account')::int;
    v_used[p] := (select count(*) from coordination.permits where target = p_target and place = l->>'id');
    v_limit[p] := coordination.limit_of(p_target, l->>'id', (l->>'concurrency')::int);
    v_rest := (select extract(epoch from rest_until - clock_timestamp()) * 1000 from coordination.places
      where target = p_target and place = l->>'id' and rest_until > clock_timestamp());
    v_open[p] := v_rest is null;
    if v_rest is not null and v_used[p] < v_limit[p] and (v_rested < 0 or v_rest < v_rested) then v_rested := v_rest; end if;
  end loop;
  if v_limits > 0 then
    for a in 1 .. cardinality(p_accounts) loop
      for i in 1 .. v_limits loop
        v_rates[(a - 1) * v_limits + i] := coordination.rate_at(p_target, p_accounts[a], p_limits->(i - 1), v_now);
      end loop;
      select * into k from coordination.kept_room where target = p_target and account = p_accounts[a] and until_ms > v_now;
      v_kept[a] := k;
    end loop;
  end if;
  for q in select * from jsonb_to_recordset(p_requests) as x(token text, job text, input bigint, output bigint) loop
    v_best := null; v_taken := 0; v_wait := -1; v_all := -1; v_soonest := null;
    for p in 1 .. v_places loop
      if not v_open[p] then continue; end if;
      if v_used[p] >= v_limit[p] then v_taken := v_taken + 1; continue; end if;
      v_own := 0; v_each := 0;
      for i in 1 .. v_limits loop
        l := p_limits->(i - 1);
        k := v_kept[v_account[p]];
        select * into w from coordination.rate_wait(v_rates[(v_account[p] - 1) * v_limits + i], l,
          coordination.amount_of(l->>'unit', q.input, q.output),
          case when k.job is null or k.job = q.job or l->>'unit' = 'requests' then 0 else coordination.amount_of(l->>'unit', k.input, k.output) end);
        v_own := greatest(v_own, w.own); v_each := greatest(v_each, w.each);
      end loop;
      if v_own <= 0 then
        if v_best is null or v_used[p]::float8 / v_limit[p] < v_used[v_best]::float8 / v_limit[v_best] then v_best := p; end if;
      else
        if v_wait < 0 or v_own < v_wait then v_wait := v_own; v_soonest := v_account[p]; end if;
        if v_all < 0 or v_each < v_all then v_all := v_each; end if;
      end if;
    end loop;
    if v_has_probe then
      v_answers := v_answers || jsonb_build_array(jsonb_build_array(0, 3, -1, -1));
    elsif v_best is not null then
      v_used[v_best] := v_used[v_best] + 1;
      insert into coordination.permits (token, target, place, expires_at)
        values (q.token, p_target, p_places->(v_best - 1)->>'id', clock_timestamp() + v_lease);
      v_at := v_now;
      for i in 1 .. v_limits loop
        n := (v_account[v_best] - 1) * v_limits + i;
        r := v_rates[n];
        v_need := coordination.amount_of(p_limits->(i - 1)->>'unit', q.input, q.output);
        r.total := r.total + v_need; r.level := r.level - v_need;
        r.slots[r.newest % cardinality(r.slots) + 1] := r.slots[r.newest % cardinality(r.slots) + 1] + v_need;
        v_rates[n] := r;
        v_at := greatest(v_at, r.at_ms);
      end loop;
      if v_limits > 0 then
        k := v_kept[v_account[v_best]];
        if k.job = q.job then
          delete from coordination.kept_room where target = p_target and account = p_accounts[v_account[v_best]];
          v_kept[v_account[v_best]] := null;
        end if;
      end if;
      if v_probed is not null then
        v_has_probe := true;
        update coordination.breakers set probe_token = q.token, probe_until = clock_timestamp() + v_lease,
          version = version + case when v_probed->>'kind' = 'open' then 1 else 0 end,
          state = case when v_probed->>'kind' = 'open' then ((v_probed - 'untilMs') || '{"kind": "half_open", "successes": 0}')::text else state end
          where target = p_target;
      end if;
      v_answers := v_answers || jsonb_build_array(jsonb_build_array(v_best, v_at, case when v_probed is null then 0 else 1 end, 0));
    elsif v_taken > 0 then v_answers := v_answers || jsonb_build_array(jsonb_build_array(0, 1, -1, -1));
    elsif v_wait > 0 and (v_rested < 0 or v_wait < v_rested) then
      k := v_kept[v_soonest];
      -- A large call would wait for ever behind small ones that just fit.
      if v_wait <= ${keptRoom.longestWaitMs} and (k.job is null or k.job = q.job) then
        k.target := p_target; k.account := p_accounts[v_soonest]; k.job := q.job; k.input := q.input; k.output := q.output; k.until_ms := v_now + v_wait + ${keptRoom.graceMs};
        insert into coordination.kept_room select k.* on conflict (target, account) do update
          set job = excluded.job, input = excluded.input, output = excluded.output, until_ms = excluded.until_ms;
        v_kept[v_soonest] := k;
      end if;
      v_answers := v_answers || jsonb_build_array(jsonb_build_array(0, 2, ceil(v_wait), ceil(v_all)));
    elsif v_rested > 0 then v_answers := v_answers || jsonb_build_array(jsonb_build_array(0, 2, ceil(v_rested), ceil(v_rested)));
    else v_answers := v_answers || jsonb_build_array(jsonb_build_array(0, 1, -1, -1));
    end if;
  end loop;
  foreach r in array v_rates loop perform coordination.save_rate(r); end loop;
  return v_answers;
end $$;
`;

export const statements = [earlier, tables, rates, take];

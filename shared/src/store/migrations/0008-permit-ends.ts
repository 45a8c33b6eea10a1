/** The end of a permit: what was really used, what the end says of the target, and the breaker that follows from it. */
import { countedSlots, outcomeSlotMs, retryBudget, usualHalfLifeMs } from '../../coordination/coordination.ts';

const counting = `
create function coordination.faded(p_amount float8, p_since_ms float8, p_now float8) returns float8 language sql immutable as $$
  select p_amount * 0.5 ^ (greatest(0, p_now - p_since_ms) / ${usualHalfLifeMs}.0)
$$;

create function coordination.usual_text(u coordination.usual, p_now float8) returns text language sql immutable as $$
  select concat_ws(' ', coordination.faded((u).ok, (u).at_ms, p_now), coordination.faded((u).failed, (u).at_ms, p_now),
    coordination.faded((u).ms, (u).at_ms, p_now))
$$;

-- p_run: failures since the last answer among these. The row of what is usual comes first: who counts, or forgets, waits for it.
create function coordination.count_outcomes(p_target text, p_ok int, p_failed int, p_ms float8, p_run int, p_now float8) returns void language plpgsql as $$
declare
  v_slot bigint := floor(p_now / ${outcomeSlotMs});
  v_is_new boolean;
begin
  insert into coordination.usual as u (target, run, ok, failed, ms, at_ms) values (p_target, p_run, p_ok, p_failed, p_ms, p_now)
    on conflict (target) do update set run = case when p_ok > 0 then p_run else u.run + p_run end,
      ok = coordination.faded(u.ok, u.at_ms, p_now) + p_ok,
      failed = coordination.faded(u.failed, u.at_ms, p_now) + p_failed,
      ms = coordination.faded(u.ms, u.at_ms, p_now) + p_ms, at_ms = p_now;
  insert into coordination.outcomes as o (target, slot, ok, failed, ms) values (p_target, v_slot, p_ok, p_failed, p_ms)
    on conflict (target, slot) do update set ok = o.ok + excluded.ok, failed = o.failed + excluded.failed, ms = o.ms + excluded.ms
    returning xmax = 0 into v_is_new;
  -- Slots that no window can reach any more.
  if v_is_new then delete from coordination.outcomes where target = p_target and slot <= v_slot - ${countedSlots}; end if;
end $$;

-- Version, state, failures in a row; of the window: answers, failures, ms of answers; of what is usual the same.
create function coordination.breaker_reading(p_target text, p_window_ms float8) returns jsonb language sql volatile as $$
  select jsonb_build_array(coalesce(b.version, 0)::text, coalesce(b.state, ''), coalesce(u.run, 0)::text,
    coalesce(w.ok, 0)::text, coalesce(w.failed, 0)::text, coalesce(w.ms, 0)::text,
    case when u.target is null then '0 0 0' else coordination.usual_text(u, coordination.now_ms()) end)
  from (values (p_target)) t (target)
    left join coordination.breakers b on b.target = t.target
    left join coordination.usual u on u.target = t.target
    left join lateral (select sum(ok) as ok, sum(failed) as failed, sum(ms) as ms from coordination.outcomes o
      where o.target = t.target and o.slot > floor(coordination.now_ms() / ${outcomeSlotMs}) - ceil(p_window_ms / ${outcomeSlotMs})) w on true
$$;
`;

const settle = `
create function coordination.ended_calls(p_calls jsonb) returns table (token text, place text, concurrency int, pressure text, held_ms float8, rest_ms float8,
  tenant text, estimated bigint, used bigint, outcome text, is_probe boolean, account text, at_ms float8,
  input bigint, output bigint, used_input bigint, used_output bigint, is_sent boolean, ord bigint) language sql immutable as $$
  select * from rows from (jsonb_to_recordset(p_calls) as (token text, place text, concurrency int, pressure text, "heldMs" float8, "restMs" float8,
    tenant text, estimated bigint, used bigint, outcome text, "isProbe" boolean, account text, "atMs" float8,
    input bigint, output bigint, "usedInput" bigint, "usedOutput" bigint, "isSent" boolean)) with ordinality
$$;

-- What was reserved becomes what was used. Of a permit that is gone, nothing is given back: it may have been settled.
create function coordination.book(p_target text, p_limits jsonb, p_calls jsonb, p_held text[], p_now float8) returns void language plpgsql as $$
declare
  r coordination.rates%rowtype;
  v_account text;
  v_difference bigint;
  l jsonb; i record;
begin
  for v_account in select distinct account from coordination.ended_calls(p_calls) where account is not null order by 1 loop
    for l in select * from jsonb_array_elements(p_limits) loop
      r := coordination.rate_at(p_target, v_account, l, p_now);
      for i in select * from coordination.ended_calls(p_calls) where account = v_account loop
        v_difference := case when i.is_sent then coordination.amount_of(l->>'unit', i.used_input, i.used_output) else 0 end
          - coordination.amount_of(l->>'unit', i.input, i.output);
        if v_difference > 0 or (v_difference < 0 and coalesce(i.token = any(p_held), false)) then r := coordination.corrected(r, l, v_difference, i.at_ms); end if;
      end loop;
      perform coordination.save_rate(r);
    end loop;
  end loop;
end $$;

-- p_spec: factor, limits, windowMs, isLatencyWatched, retriesPerCall, mostRetries. p_calls: token, place, concurrency, pressure, heldMs, restMs,
-- tenant, estimated, used, outcome, isProbe; of those that reserved: account, atMs, input, output, usedInput, usedOutput, isSent.
-- A list: 1 where a place was full; then, where the breaker may change, its reading.
create function coordination.settle(p_target text, p_spec jsonb, p_calls jsonb) returns jsonb language plpgsql as $$
declare
  v_now float8; now_second bigint; v_held text[];
  was_full boolean; v_closed boolean; v_probed boolean := false;
  v_ok int := 0; v_failed int := 0; v_ms float8 := 0; v_run int := 0;
  i record;
begin
  if jsonb_array_length(p_spec->'limits') > 0 then
    perform pg_advisory_xact_lock(hashtext('waybill.permit'), hashtext(p_target));
  end if;
  v_now := coordination.now_ms();
  now_second := floor(v_now / 1000);
  select coalesce(bool_or((select count(*) from coordination.permits u where u.target = p_target and u.place = x.place) >= coordination.limit_of(p_target, x.place, x.concurrency)), false)
    into was_full from (select distinct place, concurrency from coordination.ended_calls(p_calls)) x;
  if jsonb_array_length(p_calls) = 1 then
    delete from coordination.permits where token = p_calls->0->>'token' returning array[token] into v_held;
  else
    -- In the order of all who lock several.
    with gone as (delete from coordination.permits where token in
      (select p.token from coordination.permits p where p.token in (select e.token from coordination.ended_calls(p_calls) e) order by p.token for update) returning token)
      select array_agg(token) into v_held from gone;
  end if;
  v_closed := not exists (select 1 from coordination.breakers where target = p_target and state is not null);
  for i in select * from coordination.ended_calls(p_calls) order by place, ord loop
    if i.is_probe then v_probed := true;
    elsif v_closed and i.outcome = 'success' then v_ok := v_ok + 1; v_ms := v_ms + i.held_ms; v_run := 0;
    elsif v_closed and i.outcome = 'failure' then v_failed := v_failed + 1; v_run := v_run + 1;
    end if;
    if i.pressure <> 'none' or i.rest_ms > 0 then
      perform coordination.note_pressure(p_target, i.place, i.concurrency, (p_spec->>'factor')::float8, i.pressure, i.held_ms, i.rest_ms);
    end if;
  end loop;
  if jsonb_array_length(p_spec->'limits') > 0 then perform coordination.book(p_target, p_spec->'limits', p_calls, v_held, v_now); end if;
  if v_ok + v_failed > 0 then perform coordination.count_outcomes(p_target, v_ok, v_failed, v_ms, v_run, v_now); end if;
  insert into coordination.throughput (target, second, ended) values (p_target, now_second, jsonb_array_length(p_calls))
    on conflict (target, second) do update set ended = coordination.throughput.ended + excluded.ended;
  delete from coordination.throughput where target = p_target and second < now_second - 60;
  update coordination.retries set level = least((p_spec->>'mostRetries')::float8, level + (p_spec->>'retriesPerCall')::float8 * jsonb_array_length(p_calls))
    where provider = split_part(p_target, '/', 1);
  insert into coordination.charges as c (target, tenant_id, why, tokens)
    select p_target, x.tenant, w.why, sum(case w.why when 'used' then x.used else x.estimated end)
    from coordination.ended_calls(p_calls) x, (values ('estimated'), ('used')) as w(why) group by x.tenant, w.why order by x.tenant, w.why
    on conflict (target, tenant_id, why) do update set tokens = c.tokens + excluded.tokens;
  if v_failed = 0 and not v_probed and not (p_spec->>'isLatencyWatched')::boolean then return jsonb_build_array(was_full::int); end if;
  return jsonb_build_array(was_full::int) || coordination.breaker_reading(p_target, (p_spec->>'windowMs')::float8);
end $$;

-- No request was sent: everything is given back, once; of a permit that is gone nothing is, its rates may be gone too.
create function coordination.give_back(p_token text, p_target text, p_account text, p_limits jsonb, p_at float8, p_input bigint, p_output bigint) returns void language plpgsql as $$
declare
  r coordination.rates%rowtype;
  l jsonb;
begin
  if jsonb_array_length(p_limits) > 0 then
    perform pg_advisory_xact_lock(hashtext('waybill.permit'), hashtext(p_target));
  end if;
  -- Before the permit, as who takes one: in this order nobody waits for somebody who waits.
  update coordination.breakers set probe_token = null, probe_until = null where target = p_target and probe_token = p_token;
  delete from coordination.permits where token = p_token;
  if not found then return; end if;
  for l in select * from jsonb_array_elements(p_limits) loop
    r := coordination.rate_at(p_target, p_account, l, coordination.now_ms());
    perform coordination.save_rate(coordination.corrected(r, l, - coordination.amount_of(l->>'unit', p_input, p_output), p_at));
  end loop;
end $$;
`;

const breakers = `
-- A breaker that closes begins to count anew; what is usual stays.
create function coordination.forget_counts(p_target text) returns void language sql as $$
  update coordination.usual set run = 0 where target = p_target;
  delete from coordination.outcomes where target = p_target;
$$;

-- p_next null: closed. True: it is the state now.
create function coordination.swap_breaker(p_target text, p_version int, p_next text, p_ended_probe text) returns boolean language plpgsql as $$
declare
  b coordination.breakers%rowtype;
begin
  insert into coordination.breakers (target) values (p_target) on conflict do nothing;
  select * into b from coordination.breakers where target = p_target for update;
  -- Another probe has its turn by now: the end of this one says nothing any more.
  if b.version <> p_version or (p_ended_probe is not null and b.probe_token is distinct from p_ended_probe) then return false; end if;
  update coordination.breakers set version = version + 1, state = p_next,
    probe_token = case when p_next is not null and p_ended_probe is null then probe_token end,
    probe_until = case when p_next is not null and p_ended_probe is null then probe_until end
    where target = p_target;
  if p_next is null and b.state is not null then perform coordination.forget_counts(p_target); end if;
  return true;
end $$;

create function coordination.reset_breaker(p_target text) returns void language plpgsql as $$
begin
  insert into coordination.breakers as b (target, version) values (p_target, 1)
    on conflict (target) do update set version = b.version + 1, state = null, probe_token = null, probe_until = null;
  delete from coordination.usual where target = p_target;
  delete from coordination.outcomes where target = p_target;
end $$;

-- 0, or the ms until the one that was taken may be made.
create function coordination.take_retry(p_provider text, p_per_second float8, p_most float8) returns float8 language plpgsql as $$
declare
  v_now float8 := coordination.now_ms();
  v_level float8;
begin
  insert into coordination.retries (provider, level, at_ms) values (p_provider, p_most, v_now) on conflict do nothing;
  -- After a quiet while nothing is owed any more.
  select case when v_now - at_ms > ${retryBudget.forgottenMs} then p_most else least(p_most, level + greatest(0, v_now - at_ms) * p_per_second / 1000) end
    into v_level from coordination.retries where provider = p_provider for update;
  update coordination.retries set level = v_level - 1, at_ms = v_now where provider = p_provider;
  return case when v_level >= 1 then 0 else ceil((1 - v_level) * 1000 / p_per_second) end;
end $$;
`;

const restore = `
-- A slot that has not begun, by the clock of whoever read it, counts as the one that runs.
create function coordination.restore_rate(p_target text, p_account text, p_limit jsonb, p_slots bigint[], p_amounts bigint[]) returns void language plpgsql as $$
declare
  v_slot_ms float8 := (p_limit->>'slotMs')::float8;
  r coordination.rates%rowtype;
begin
  perform pg_advisory_xact_lock(hashtext('waybill.permit'), hashtext(p_target));
  r := coordination.rate_at(p_target, p_account, p_limit, coordination.now_ms());
  for i in 1 .. cardinality(p_slots) loop
    r := coordination.corrected(r, p_limit, p_amounts[i], p_slots[i] * v_slot_ms);
  end loop;
  r.level := 0;
  perform coordination.save_rate(r);
end $$;
`;

export const statements = [counting, settle, breakers, restore];

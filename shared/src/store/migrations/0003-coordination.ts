/**
 * Coordination in SQL, on UNLOGGED tables: what is true only now, and may be lost with the process that made it.
 * It never knows money and never joins a job's transaction.
 */
const tables = `
create schema coordination;
create unlogged table coordination.permits (
  token text primary key,
  entry_id text not null,
  target text not null,
  worker_id text not null,
  expires_at timestamptz not null
);
create index permits_target on coordination.permits (target);
create index permits_worker on coordination.permits (worker_id);
create unlogged table coordination.pauses (
  scope text primary key,
  kind text not null,
  until timestamptz not null
);
create unlogged table coordination.throughput (
  target text not null,
  second bigint not null,
  ended int not null,
  primary key (target, second)
);
`;

const functions = `
-- p_limit is the concurrency of the target over the fleet. An expired permit frees its place.
create function coordination.take_permit(p_token text, p_entry text, p_target text, p_worker text, p_limit int, p_lease_ms int)
returns boolean language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('waybill.permit'), hashtext(p_target));
  delete from coordination.permits where target = p_target and expires_at <= clock_timestamp();
  if (select count(*) from coordination.permits where target = p_target) >= p_limit then
    return false;
  end if;
  insert into coordination.permits (token, entry_id, target, worker_id, expires_at)
    values (p_token, p_entry, p_target, p_worker, clock_timestamp() + make_interval(secs => p_lease_ms / 1000.0));
  return true;
end $$;

-- Ends a call: its place is free, and its end is counted for the target's throughput.
create function coordination.settle_permit(p_token text, p_target text) returns void language plpgsql as $$
declare
  now_second bigint := extract(epoch from clock_timestamp())::bigint;
begin
  delete from coordination.permits where token = p_token;
  insert into coordination.throughput (target, second, ended) values (p_target, now_second, 1)
    on conflict (target, second) do update set ended = coordination.throughput.ended + 1;
  delete from coordination.throughput where second < now_second - 60;
end $$;
`;

export const statements = [tables, functions];

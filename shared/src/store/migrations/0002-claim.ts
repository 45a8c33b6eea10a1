/**
 * Claiming a job: one function, all or nothing.
 *
 * Only a claim raises the fence (`jobs.attempt`, the number of the last attempt). It takes a queued job, or one in
 * progress whose worker is dead; then the dead worker's attempt becomes `unknown` and is booked as a cost nobody
 * knows. Everything else is `stale` and its entry ends quietly.
 */
const deadWorkers = `
create function waybill.is_alive(p_worker text) returns boolean language sql stable as $$
  select exists (select 1 from waybill.workers w where w.id = p_worker and w.lease_until > clock_timestamp())
$$;

-- The outcome of a call whose worker died is not known, and neither is its cost.
create function waybill.mark_unknown(p_job text, p_attempt int, p_tenant text) returns void language plpgsql as $$
declare
  a waybill.attempts%rowtype;
begin
  update waybill.attempts set status = 'unknown', failure_kind = 'unknown', failure_message = 'the worker ended during the call',
    ended_at = clock_timestamp(), cost_basis = 'unknown', cost_reason = 'worker_lost'
    where job_id = p_job and n = p_attempt and status = 'started' returning * into a;
  if not found then return; end if;
  insert into waybill.ledger (job_id, attempt, tenant_id, provider, requested_model, outcome, cost_basis, cost_reason)
    values (p_job, p_attempt, p_tenant, split_part(a.target, '/', 1), substr(a.target, strpos(a.target, '/') + 1), 'unknown', 'unknown', 'worker_lost')
    on conflict do nothing;
end $$;

-- Five unknown outcomes in a row of this run: the job itself is the likely cause. An aborted attempt says nothing either way.
create function waybill.is_poisoned(p_job text) returns boolean language sql stable as $$
  select count(*) = 5 and bool_and(status = 'unknown')
  from (select status from waybill.attempts where job_id = p_job and status <> 'aborted'
    and run = (select run from waybill.jobs where id = p_job) order by n desc limit 5) last
$$;
`;

const claim = `
create function waybill.claim_job(p_job text, p_seq int, p_target text, p_worker text, p_labels text[], p_credential text)
returns table (outcome text, job waybill.jobs, request text, history text) language plpgsql as $$
#variable_conflict use_column
declare
  j waybill.jobs%rowtype;
begin
  select * into j from waybill.jobs where id = p_job for update;
  if not found or j.seq <> p_seq or j.target <> p_target or j.deadline_at <= clock_timestamp()
     or not waybill.is_alive(p_worker)
     or not (j.status = 'queued' or (j.status = 'in_progress' and not waybill.is_alive(j.claimed_by))) then
    return query select 'stale', null::waybill.jobs, null::text, null::text;
    return;
  end if;
  if j.status = 'in_progress' then
    perform waybill.mark_unknown(p_job, j.attempt, j.tenant_id);
    update waybill.jobs set status = 'queued', claimed_by = null where id = p_job;
  end if;
  if j.attempt >= 5 and waybill.is_poisoned(p_job) then
    return query select 'poison', j, null::text, null::text;
    return;
  end if;
  if not (j.require <@ p_labels) then
    return query select 'label', j, null::text, null::text;
    return;
  end if;
  update waybill.jobs set status = 'in_progress', attempt = attempt + 1, claimed_by = p_worker,
    started_at = coalesce(started_at, clock_timestamp()), waiting_reason = null, waiting_since = null, waiting_until = null
    where id = p_job returning * into j;
  insert into waybill.attempts (job_id, n, run, target, status, worker_id, credential, started_at)
    values (p_job, j.attempt, j.run, p_target, 'started', p_worker, p_credential, clock_timestamp());
  return query select 'claimed', j, p.request,
    (select coalesce(json_agg(json_build_object('n', a.n, 'target', a.target, 'status', a.status, 'failure', a.failure_kind,
        'endedAtMs', (extract(epoch from a.ended_at) * 1000)::bigint, 'retryAtMs', (extract(epoch from a.retry_at) * 1000)::bigint) order by a.n), '[]')::text
     from waybill.attempts a where a.job_id = p_job and a.run = j.run and a.n < j.attempt)
    from waybill.payloads p where p.job_id = p_job;
end $$;
`;

export const statements = [deadWorkers, claim];

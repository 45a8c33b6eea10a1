import { startTestWorker } from './support/worker-context.ts';
import { dispatchRound } from '@waybill/workers/dispatch/dispatcher.ts';
const w = await startTestWorker({ providers: { a: { preset: 'ollama', base_url: 'http://127.0.0.1:1' }, b: { preset: 'ollama', base_url: 'http://127.0.0.1:2' } }, chains: { default: { targets: ['a/m', 'b/m'] } } });
// run: b answered 429 an hour ago (a limit that is long over), the job now waits in the backlog for a
const job = await w.addJob(['a/m', 'b/m'], { isDispatched: false });
await w.database.pool.query(`insert into waybill.attempts (job_id, n, run, target, status, failure_kind, worker_id, ended_at, retry_at) values ($1, 1, 1, 'b/m', 'failed', 'rate_limit', 'x', now() - interval '1 hour', now() - interval '59 minutes')`, [job.id]);
await w.database.pool.query(`update waybill.jobs set attempt = 1 where id = $1`, [job.id]);
await w.coordination.pause('credential:a', 'auth', Date.now() + 2 * 3600_000);
await dispatchRound(w.context);
const r = await w.readJob(job.id); console.log(r.target, r.status, r.waiting_reason, 'until', r.waiting_until, 'deadline', r.deadline_at);
// dispatchedLongAgo starvation: 500 waiting entries hide a lost one
const { insertJobs } = await import('@waybill/shared/store/insert-jobs.ts');
const { dispatchedLongAgo } = await import('@waybill/shared/store/sweep.ts');
await w.close();

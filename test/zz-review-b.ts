// permits leak: settle fails once -> renewed for ever
import { startTestWorker } from './support/worker-context.ts';
const w = await startTestWorker({ providers: { a: { preset: 'ollama', base_url: 'http://127.0.0.1:1', limits: { concurrency: 1 } } }, chains: { default: { targets: ['a/m'] } } });
const c = w.coordination; const id = w.context.lease.id();
console.log('take', await c.takePermit({ token: 't1', entryId: 'e', target: 'a/m', workerId: id, limit: 1 }));
// t1's settlePermit failed (database error): nobody holds it any more. Age it 29s, as lease renewals go on
for (let i = 0; i < 6; i++) { await w.database.pool.query(`update coordination.permits set expires_at = expires_at - interval '10 seconds'`); await c.renewPermits(id); }
console.log('after 60 simulated s', await c.takePermit({ token: 't2', entryId: 'e2', target: 'a/m', workerId: id, limit: 1 }));
// poison across runs
const job = await w.addJob(['a/m']);
const { claimJob } = await import('@waybill/shared/store/claim.ts');
const { retryJob } = await import('@waybill/shared/store/job-end.ts');
const { sweep } = await import('@waybill/workers/upkeep/sweep.ts');
let row: any = job; 
const die = async () => { const o = await w.otherWorker(); row = await w.readJob(job.id); const cl = await claimJob(w.database, { jobId: job.id, seq: row.seq, target: 'a/m', workerId: o.id, labels: row.require, credential: null }); await o.kill(); await sweep(w.context); row = await w.readJob(job.id); return [cl.kind, row.status, row.error_kind, row.run]; };
for (let i = 0; i < 5; i++) console.log('crash', i + 1, await die());
await retryJob(w.database, job.tenant_id, job.id, { target: 'a/m', provider: 'a', targets: ['a/m'], configVersion: 'x' });
console.log('run 2, ONE crash:', await die());
await w.close();

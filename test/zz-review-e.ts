// event loop (or machine) asleep for 35 s
import { startTestWorker } from './support/worker-context.ts';
import { startLease } from '@waybill/workers/lease.ts';
const w = await startTestWorker({ providers: { a: { preset: 'ollama', base_url: 'http://127.0.0.1:1' } }, chains: { default: { targets: ['a/m'] } } });
const ids: string[] = [];
const logs: string[] = [];
const lease = await startLease({ database: w.database, coordination: w.coordination, version: 't', onLost: () => logs.push('lost ' + Math.round(performance.now())), logger: { error: (o: any, m: string) => logs.push(m + ' ' + JSON.stringify(o)), warn() {}, info() {}, debug() {} } as any });
ids.push(lease.id());
const watch = setInterval(() => {}, 1000);
await new Promise((r) => setTimeout(r, 200));
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 36_000);
// claims made right after waking
for (let i = 0; i < 40; i++) { await new Promise((r) => setImmediate(r)); if (ids.at(-1) !== lease.id()) ids.push(lease.id()); await w.database.pool.query('select 1'); if (ids.at(-1) !== lease.id()) ids.push(lease.id()); }
await new Promise((r) => setTimeout(r, 2000)); if (ids.at(-1) !== lease.id()) ids.push(lease.id());
console.log('ids seen', ids); console.log(logs.join('\n'));
console.log((await w.database.pool.query(`select id, lease_until > now() alive, round(extract(epoch from lease_until - now())) left from waybill.workers where version='t'`)).rows);
clearInterval(watch); await lease.stop(); await w.close();

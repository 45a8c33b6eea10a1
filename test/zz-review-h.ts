// watchdog + registerWorker fails -> unhandled rejection?
import { startLease } from '@waybill/workers/lease.ts';
import { startTestWorker } from './support/worker-context.ts';
const w = await startTestWorker({ providers: { a: { preset: 'ollama', base_url: 'http://127.0.0.1:1' } }, chains: { default: { targets: ['a/m'] } } });
let broken = false;
const db: any = { ...w.database, get kysely() { if (broken) throw new Error('database unreachable'); return w.database.kysely; } };
await startLease({ database: db, coordination: w.coordination, version: 't', onLost: () => console.log('lost'), logger: { error: (o: any, m: string) => console.log(m, o.why ?? o.err?.message), warn() {}, info() {}, debug() {} } as any });
broken = true;
setTimeout(() => { console.log('survived'); process.exit(0); }, 30_000);

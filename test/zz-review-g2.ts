import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, existsSync } from 'node:fs';
import { homedir } from 'node:os';
const cache = `${homedir()}/.cache/waybill`;
const run = (dir: string, killAfter: number | null) => new Promise<string>((r) => { const p = spawn(process.execPath, ['test/zz-review-g.ts', dir, cache], { cwd: '/work/main' }); let out = ''; p.stdout.on('data', (d) => out += d); p.stderr.on('data', (d) => out += d); const t = killAfter ? setTimeout(() => p.kill('SIGKILL'), killAfter) : null; p.on('exit', (c, s) => { if (t) clearTimeout(t); r(`${c} ${s} ${out.slice(0, 300)}`); }); });
const t0 = performance.now(); const d0 = mkdtempSync('/tmp/zzr-'); console.log('full', await run(d0, null)); const full = performance.now() - t0; console.log('ms', full); rmSync(d0, { recursive: true });
let bad = 0, n = 0;
for (let k = 0.25; k < 1.0; k += 0.03) { const dir = mkdtempSync('/tmp/zzr-'); const ms = Math.round(full * k); const a = await run(dir, ms); const has = existsSync(`${dir}/postgres/PG_VERSION`); const b = await run(dir, null); n++; if (!b.startsWith('0 ')) { bad++; console.log(ms, 'PG_VERSION', has, 'killed:', a.slice(0, 60), '-> reopen:', b.slice(0, 300)); } rmSync(dir, { recursive: true, force: true }); }
console.log({ n, bad });

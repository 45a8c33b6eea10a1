import { startWaybill } from './support/waybill.ts';
import { startScriptedProvider, say } from './support/scripted-provider.ts';
const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));
const which = process.argv[2];
if (which === 'cost') {
  const p = await startScriptedProvider((r) => r.prompt === 'huge'
    ? { kind: 'raw', body: JSON.stringify({ id: 'x', type: 'message', role: 'assistant', model: 'claude-haiku-4-5', content: [{ type: 'text', text: 'hi' }], stop_reason: 'end_turn', usage: { input_tokens: 10, output_tokens: 9e15 } }) }
    : { kind: 'raw', body: JSON.stringify({ id: 'x', type: 'message', role: 'assistant', model: 'claude-haiku-4-5', content: [{ type: 'text', text: 'hi' }], stop_reason: 'end_turn', usage: { input_tokens: 10, output_tokens: 5, cache_creation: { ephemeral_1h_input_tokens: 20 } } }) });
  const w = await startWaybill({ config: { providers: { b: { preset: 'anthropic', base_url: `${p.url}/v1`, api_key: 'x' } }, chains: { default: { targets: ['b/claude-haiku-4-5'] } } } });
  const j = await w.client.submit({ model: 'default', prompt: 'odd' });
  const h = await w.client.submit({ model: 'default', prompt: 'huge' });
  await sleep(50_000);
  for (const id of [j.id, h.id]) { const v = await w.client.get(id); console.log(id, v.status, JSON.stringify(v.attempts)); }
  console.log(w.log.filter((l) => /"level":(40|50|"warn"|"error")/.test(l)).map((l) => l.slice(0, 260)).slice(0, 12).join('\n'));
  console.log('bullmq', (await w.server.database.pool.query(`select queue, state, count(*) from (select * from bullmq.job) j group by 1,2`).catch((e) => e.message) as any).rows ?? '');
  const t = performance.now(); await w.stop(); console.log('stopped in', performance.now() - t);
  await p.stop();
} else if (which === 'stop') {
  const p = await startScriptedProvider(() => ({ kind: 'hang' }));
  const w = await startWaybill({ config: { providers: { a: { preset: 'openai', base_url: `${p.url}/v1`, api_key: 'x', limits: { concurrency: 2 }, timeouts: { first_byte: '20s' }, models: { one: { limits: { concurrency: 1 } } , two: {limits: {concurrency: 1}} } } }, chains: { default: { targets: ['a/one'] } } } });
  for (let i = 0; i < 2; i++) await w.client.submit({ model: 'default', prompt: `p${i}` });
  await sleep(1500);
  console.log('requests before stop', p.requests.length);
  const t = performance.now(); await w.server.stop(500); console.log('stop(500) took', Math.round(performance.now() - t), 'requests', p.requests.length);
  await p.stop();
} else if (which === 'port') {
  const p = await startScriptedProvider(() => ({ kind: 'hang' }));
  const { createServer } = await import('node:net');
  const { mkdtempSync } = await import('node:fs');
  const directory = mkdtempSync('/tmp/zzr-port-');
  const config = { providers: { a: { preset: 'openai', base_url: `${p.url}/v1`, api_key: 'x', limits: { concurrency: 4 }, timeouts: { first_byte: '20s' } } }, chains: { default: { targets: ['a/one'] } } };
  const w = await startWaybill({ config, directory });
  for (let i = 0; i < 8; i++) await w.client.submit({ model: 'default', prompt: `p${i}` });
  await w.stop();
  console.log('requests', p.requests.length);
  const s = createServer().listen(0, '127.0.0.1'); await sleep(50); const port = (s.address() as any).port;
  const { startEmbeddedServer } = await import('@waybill/cli/embedded-server.ts');
  const { parseEnvironment } = await import('@waybill/shared/config/environment.ts');
  const { settingsOf } = await import('@waybill/shared/config/load.ts');
  const { createLogger } = await import('@waybill/shared/telemetry/logger.ts');
  const env = parseEnvironment({ HOME: process.env.HOME }) as any;
  const t = performance.now();
  try { await startEmbeddedServer({ settings: settingsOf(config, env.environment, 't'), environment: env.environment, directory, host: '127.0.0.1', port, logger: createLogger({ level: 'silent' }) }); } catch (e) { console.log('failed after', Math.round(performance.now() - t), (e as Error).message, 'requests', p.requests.length); }
  s.close(); await p.stop();
}

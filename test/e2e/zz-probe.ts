import { say, startScriptedProvider } from '../support/scripted-provider.ts';
import { startWaybill } from '../support/waybill.ts';

const provider = await startScriptedProvider(() => say('ok'));
const config = {
  providers: { scripted: { preset: 'openai-compatible', endpoints: [`${provider.url}/v1`] } },
  chains: { default: { targets: ['scripted/m'] } },
};
const w = await startWaybill({ config });
const w2 = await startWaybill({ config, host: '0.0.0.0' });
const post = async (b: unknown, to = w, path = '/v1/jobs') => {
  const r = await fetch(to.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${to.adminKey}`, 'content-type': 'application/json' },
    body: typeof b === 'string' ? b : JSON.stringify(b),
  });
  const j = (await r.json()) as any;
  return `${r.status} ${j.error?.code ?? j.id} ${j.error?.param ?? ''} ${j.error?.message?.slice(0, 140) ?? ''}`;
};
const ok = { model: 'default', prompt: 'hi' };
for (const m of [
  'constructor',
  '__proto__',
  '__proto__/x',
  'constructor/x',
  'toString',
  'scripted/a\u0000',
  'scripted/\ud800',
  'scripted/constructor',
  'scripted/',
  '/',
  'x'.repeat(300),
  '',
])
  console.log('model', JSON.stringify(m).slice(0, 40), await post({ ...ok, model: m }));
for (const [k, v] of Object.entries({
  exclude_providers: ['x\u0000'],
  require: ['a\ud800'],
  custom_id: 'a\u200bb',
  priority: 3,
  run_at: '2026-02-30T00:00:00Z',
}))
  console.log(k, await post({ ...ok, [k]: v }));
for (const b of [
  { model: 'default', messages: [] },
  { model: 'default', messages: [{ role: 'system', content: ' ' }] },
  { model: 'default', messages: [{ role: 'user', content: [] }] },
  { model: 'default', messages: [{ role: 'x', content: 'a' }] },
  { model: 'default', messages: [{ role: 'user', content: [{ type: 'video' }] }] },
  { model: 'default', messages: [{ role: 'user', content: 'x' }], tools: [{ type: 'code' }] },
  { model: 'default', messages: [{ role: 'user', content: 'x' }], modle: 1 },
  { model: 'default', messages: [{ role: 'user', content: 'x' }], functions: [] },
  { model: 'default', messages: [{ role: 'user', content: 'x' }], logit_bias: { a: 'x' } },
])
  console.log(JSON.stringify(b).slice(0, 90), await post({ body: b }));
for (const q of [
  'custom_id=%00',
  'batch_id=a%00',
  'metadata.a=%00',
  'metadata.%00=a',
  'metadata.__proto__=x',
  'limit=0x10',
  'limit=1e1',
  'limit=%20',
]) {
  const r = await fetch(`${w.url}/v1/jobs?${q}`, { headers: { authorization: `Bearer ${w.adminKey}` } });
  console.log(q, r.status, (await r.text()).slice(0, 120));
}
const urls = [
  'ftp://a.example/',
  'javascript:alert(1)',
  'data:text/plain,x',
  'http://u:p@h.example/',
  'http://1.1.1.1 &@2.2.2.2# @3.3.3.3/',
  'http://127.0.0.1/',
  'http://0x7f.1/',
  'http://2130706433/',
  'http://017700000001/',
  'http://127.1/',
  'http://１２７.0.0.1/',
  'http://localhost/',
  'http://localhost./',
  'http://a.localhost/',
  'http://x.internal/',
  'http://x.local/',
  'http://intranet/',
  'http://0/',
  'http://0.0.0.0/',
  'http://[::]/',
  'http://[::1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::127.0.0.1]/',
  'http://[64:ff9b::a9fe:a9fe]/',
  'http://[2002:7f00:1::]/',
  'http://[fd00:ec2::254]/',
  'http://[fe80::1]/',
  'http://169.254.169.254/',
  'http://169.254.169.254./',
  'http://100.100.100.200/',
  'http://192.0.0.192/',
  'http://168.63.129.16/',
  'http://10.0.0.1/',
  'http://172.16.0.1/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://198.18.0.1/',
  'http://224.0.0.1/',
  'http://255.255.255.255/',
  'http://192.0.2.1/',
  'http://240.0.0.1/',
  'http://[2001:db8::1]/',
  'http://[64:ff9b:1::1]/',
  'http://[100::1]/',
  'http://[ff02::1]/',
  'http://[2001::1]/',
  'http://198.51.100.1/',
  'http://203.0.113.9/',
  'http://a.example:22/',
  'http://a.example:25/',
  'http://a.example:6379/',
  'http://a.example:5432/',
  'http://a.example:0/',
  'http://a.example:99999/',
  'http://a.example/#f',
  'http://a.example/ x',
  'http://a.exa\tmple/',
  'http://a.example/' + 'x'.repeat(8192),
  'not a url',
  '//a.example',
  `${w2.url}/x`,
];
for (const u of urls) {
  const t = Date.now();
  console.log(u.slice(0, 50), await post({ ...ok, webhook_url: u }, w2), Date.now() - t);
}
const port = new URL(w.url).port;
for (const h of ['127.0.0.1', 'localhost', 'localhost.', 'a.localhost', '[::1]', '[::ffff:127.0.0.1]', '0x7f.1'])
  console.log('self', h, await post({ ...ok, webhook_url: `http://${h}:${port}/x` }));
console.log(
  'pub',
  await post({ ...ok, webhook_url: 'https://a.example/hook' }, w2),
  await post({ ...ok, webhook_url: 'https://bücher.example/hook' }, w2),
);
await w.stop();
await w2.stop();
await provider.stop();

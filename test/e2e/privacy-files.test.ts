/** Files in requests: texts are read in any encoding, and a document that is none goes where everything may go. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let cloud: ScriptedProvider;
let local: ScriptedProvider;
let strict: TestWaybill;
let lenient: TestWaybill;

beforeAll(async () => {
  cloud = await startScriptedProvider(() => say('from the cloud'));
  local = await startScriptedProvider(() => say('from home'));
  const config = (privacy: object) => ({
    providers: {
      cloud: { preset: 'openai-compatible', base_url: `${cloud.url}/v1` },
      home: { preset: 'openai-compatible', base_url: `${local.url}/v1`, labels: ['local'] },
    },
    chains: { default: { targets: ['cloud/m', 'home/m'] }, away: { targets: ['cloud/m'] } },
    privacy: { detect: ['email', 'iban'], require: ['local'], ...privacy },
  });
  strict = await startWaybill({ config: config({}) });
  lenient = await startWaybill({ config: config({ unread_files: 'pass' }) });
});

afterAll(async () => {
  await Promise.all([strict?.stop(), lenient?.stop()]);
  await Promise.all([cloud?.stop(), local?.stop()]);
});

const ask = async (waybill: TestWaybill, part: object, model = 'default') => {
  const content = [{ type: 'text', text: 'What does it say?' }, part];
  const { id } = await waybill.client.submit({ body: { model, messages: [{ role: 'user', content }] } });
  return whenFinal(waybill.client, id);
};
const uri = (type: string, bytes: Buffer) => `data:${type};base64,${bytes.toString('base64')}`;
const file = (type: string, bytes: Buffer) => ({
  type: 'file',
  file: { file_data: uri(type, bytes), filename: 'a.bin' },
});

const pdf = Buffer.from('%PDF-1.4\n1 0 obj << >> endobj');
const png = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00]);

test('a document that is not text stays at home, and is refused where nobody is', async () => {
  expect(await ask(strict, file('application/pdf', pdf))).toMatchObject({ target: 'home/m', require: ['local'] });
  const refused = { status: 400, code: 'no_eligible_target' };
  await expect(ask(strict, file('application/pdf', pdf), 'away')).rejects.toMatchObject(refused);
});

test('where such files may pass, it goes where it would', async () => {
  expect(await ask(lenient, file('application/pdf', pdf))).toMatchObject({ target: 'cloud/m', require: [] });
});

test('a table in Latin 1 is read, whatever its type', async () => {
  const table = (text: string) => file('application/vnd.ms-excel', Buffer.from(text, 'latin1'));
  for (const waybill of [strict, lenient]) {
    const found = await ask(waybill, table('M\u00fcller;ann.lee@example.com'));
    expect(found).toMatchObject({ target: 'home/m', require: ['local'] });
    expect(await ask(waybill, table('M\u00fcller;42'))).toMatchObject({ target: 'cloud/m', require: [] });
  }
});

test('pictures and sound are no texts, and go where they would', async () => {
  const picture = { type: 'image_url', image_url: { url: uri('image/png', png) } };
  const sound = { type: 'input_audio', input_audio: { data: png.toString('base64'), format: 'wav' } };
  expect(await ask(strict, picture)).toMatchObject({ target: 'cloud/m', require: [] });
  expect(await ask(strict, sound)).toMatchObject({ target: 'cloud/m', require: [] });
});

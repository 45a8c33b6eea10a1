import type { PrivacySettings, ProviderSettings } from '@waybill/shared/config/settings.ts';
import type { Claim } from '@waybill/shared/store/claim.ts';
import type { PastTurn } from '@waybill/shared/store/conversations.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { WorkerContext } from '../worker-context.ts';
import { findBar } from './bar.ts';

let database: Database;
beforeAll(async () => {
  database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
});
afterEach(async () => void (await database.pool.query('truncate waybill.audit')));
afterAll(() => database.close());

const requestOf = (content: string): string => JSON.stringify({ model: 'p/m', messages: [{ role: 'user', content }] });
const outputOf = (content: string): string =>
  JSON.stringify({ choices: [{ message: { role: 'assistant', content } }] });
const plain = requestOf('hello');
const withEmail = requestOf('write to ann.lee@example.com');
const usual: PrivacySettings = { isCloudOn: true, detect: ['email', 'iban'], unreadFiles: 'found', require: ['local'] };

interface Look {
  readonly privacy?: Partial<PrivacySettings>;
  readonly labels?: readonly string[];
  readonly turns?: readonly PastTurn[];
  readonly require?: readonly string[];
  readonly db?: Database;
}
function look(request: string, { privacy = {}, labels = ['eu'], turns = [], require = [], db = database }: Look = {}) {
  const job = { id: 'job_1', tenant_id: 'ten_1', target: 'p/m', endpoint: '/v1/chat/completions', require };
  const claim = { job, request } as unknown as Extract<Claim, { kind: 'claimed' }>;
  const settings = { privacy: { ...usual, ...privacy } };
  const context = { database: db, settings: () => settings } as unknown as WorkerContext;
  return findBar(claim, turns, { labels } as unknown as ProviderSettings, context);
}
const audited = () => database.kysely.selectFrom('waybill.audit').selectAll().execute();

test('what must not leave the house is not sent to a target without the label, and that is written down', async () => {
  expect(await look(withEmail, { require: ['eu'] })).toEqual({ require: ['eu', 'local'], detected: ['email'] });
  const [row, ...others] = await audited();
  expect(row).toMatchObject({ actor: 'waybill', action: 'privacy.barred', tenant_id: 'ten_1', job_id: 'job_1' });
  expect(JSON.parse(row?.detail ?? '')).toEqual({ target: 'p/m', detected: ['email'], missing: ['local'] });
  expect(others).toEqual([]);
  expect(JSON.stringify(row), 'kinds only').not.toContain('ann.lee');
});

test.for<[string, string, Look]>([
  ['nothing is in it', plain, {}],
  ['the target has the label', withEmail, { labels: ['local'] }],
  ['nobody looks for it', withEmail, { privacy: { detect: ['iban'] } }],
])('a request is sent when %s', async ([, request, more]) => {
  expect(await look(request, more)).toBeNull();
  expect(await audited()).toEqual([]);
});

test('every label is wanted, and each that is missing bars it', async () => {
  const privacy = { require: ['local', 'eu'] };
  expect(await look(withEmail, { privacy, labels: ['local'] })).toMatchObject({ require: ['local', 'eu'] });
  expect(await look(withEmail, { privacy, labels: ['eu', 'local'] })).toBeNull();
});

test.for<[string, PastTurn]>([
  ['asked', { request: withEmail, output: outputOf('fine'), target: 'p/m', require: [] }],
  ['answered', { request: plain, output: outputOf('ask ann.lee@example.com'), target: 'p/m', require: [] }],
])('what was %s in an earlier turn of its conversation counts', async ([, turn]) => {
  expect(await look(plain, { turns: [turn] })).toMatchObject({ detected: ['email'] });
});

test('what was said under a label goes to no target without it, whatever it holds', async () => {
  const turn = { request: plain, output: outputOf('fine'), target: 'q/m', require: ['house'] };
  const privacy = { detect: [] };
  expect(await look(plain, { turns: [turn], privacy })).toEqual({ require: ['house'], detected: [] });
  expect(await look(plain, { turns: [turn], privacy, labels: ['house'] })).toBeNull();
});

test('what cannot be read counts as found, of every kind', async () => {
  expect(await look('{"messages": [')).toEqual({ require: ['local'], detected: ['email', 'iban'] });
  const turn = { request: plain, output: 'no JSON', target: 'p/m', require: [] };
  expect(await look(plain, { turns: [turn] })).toMatchObject({ detected: ['email', 'iban'] });
});

test('a file that is not text counts as found, of every kind, unless it may pass', async () => {
  const file = { file_data: `data:application/pdf;base64,${Buffer.from('%PDF-1.4').toString('base64')}` };
  const request = JSON.stringify({ model: 'p/m', messages: [{ role: 'user', content: [{ type: 'file', file }] }] });
  expect(await look(request)).toEqual({ require: ['local'], detected: ['email', 'iban'] });
  expect(await look(request, { privacy: { unreadFiles: 'pass' } })).toBeNull();
});

test('where nothing is configured nothing is read', async () => {
  const db = new Proxy({} as Database, {
    get() {
      throw new Error('the database was asked');
    },
  });
  expect(await look('{"messages": [', { privacy: { detect: [] }, db })).toBeNull();
});

test('what cannot be written down is not sent', async () => {
  const kysely = { insertInto: () => ({ values: () => ({ execute: () => Promise.reject(new Error('down')) }) }) };
  await expect(look(withEmail, { db: { kysely } as unknown as Database })).rejects.toThrow('down');
});

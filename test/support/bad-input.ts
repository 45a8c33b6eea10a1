/** What every refusal of the API has in common: status, code, JSON, one request id in header and body, nothing written. */
import type { Database } from '@waybill/shared/store/database.ts';
import { expect } from 'vitest';
import type { Answer } from './http-exchange.ts';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from './scripted-provider.ts';
import { startWaybill, type TestWaybill, whenFinal } from './waybill.ts';

const tables = ['jobs', 'payloads', 'batches', 'idempotency_keys', 'webhook_endpoints'] as const;

/** Rows of every table that a request may write. */
export async function countRows(database: Database): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of tables) {
    const { rows } = await database.pool.query(`select count(*)::int as n from waybill.${table}`);
    counts[table] = (rows as { n: number }[])[0]?.n ?? -1;
  }
  return counts;
}

export function expectRefusal(answer: Answer, status: number, code: string): void {
  const body = JSON.parse(answer.text) as {
    error: { message: string; code: string; request_id: string };
  };
  expect({ status: answer.status, code: body.error.code }, body.error.message).toEqual({ status, code });
  expect(Object.keys(body)).toEqual(['error']);
  expect(Object.keys(body.error).toSorted()).toEqual(['code', 'message', 'param', 'request_id', 'type']);
  expect(answer.headers['content-type']).toMatch(/^application\/json(; charset=utf-8)?$/);
  expect(answer.headers['x-request-id']).toMatch(/^req_[0-9a-f]{32}$/);
  expect(body.error.request_id).toBe(answer.headers['x-request-id']);
  expect(answer.text).not.toMatch(/node_modules|\.ts:\d|[^a-z]at [A-Z]/);
  expect(body.error.message.length).toBeLessThan(700);
  if (status === 405) expect(answer.headers.allow).toMatch(/GET|POST/);
  if (status === 401) expect(answer.headers['www-authenticate']).toBe('Bearer');
}

export interface RefusingServers {
  readonly provider: ScriptedProvider;
  /** On loopback: private receivers are allowed. */
  readonly waybill: TestWaybill;
  /** On every interface: private receivers are refused. */
  readonly open: TestWaybill | null;
  readonly succeededId: string;
  readonly failedId: string;
  /** Fails when a refused request wrote a row. */
  expectNothingWritten(): Promise<void>;
  stop(): Promise<void>;
}

/** Servers with one succeeded and one failed job in them. */
export async function startRefusingServers(withOpen: boolean): Promise<RefusingServers> {
  const provider = await startScriptedProvider(({ prompt }) => (prompt === 'fail' ? refuse(400) : say('done')));
  const config = {
    providers: { scripted: { preset: 'openai-compatible', endpoints: [`${provider.url}/v1`] } },
    chains: { default: { targets: ['scripted/model-a'] } },
  };
  const waybill = await startWaybill({ config });
  const open = withOpen ? await startWaybill({ config, host: '0.0.0.0' }) : null;
  const succeeded = await waybill.client.submit({ model: 'default', prompt: 'work' });
  const failed = await waybill.client.submit({ model: 'default', prompt: 'fail' });
  const ends = [await whenFinal(waybill.client, succeeded.id), await whenFinal(waybill.client, failed.id)];
  expect(ends.map((job) => job.status)).toEqual(['succeeded', 'failed']);
  const databases = [waybill, open].flatMap((each) => (each === null ? [] : [each.server.database]));
  const before = await Promise.all(databases.map(countRows));
  return {
    provider,
    waybill,
    open,
    succeededId: succeeded.id,
    failedId: failed.id,
    async expectNothingWritten() {
      expect(await Promise.all(databases.map(countRows))).toEqual(before);
    },
    async stop() {
      await Promise.all([waybill.stop(), open?.stop()]);
      await provider.stop();
    },
  };
}

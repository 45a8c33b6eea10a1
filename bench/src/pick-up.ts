/**
 * How soon an idle worker picks a job up: raw BullMQ on the embedded database (add to processor) beside the whole
 * path (POST to claim), one of each in turn.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer } from '@waybill/cli/server.ts';
import { createClient } from '@waybill/producer/client/client.ts';
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import { createPostgresQueueBackend } from '@waybill/shared/queue/postgres-queue.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { figuresOf, show } from './statistics.ts';

export async function benchPickUp(rounds: number): Promise<string[]> {
  const stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'waybill-bench-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const provider = createServer((request, response) => {
    request.resume();
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        model: 'm',
        message: { role: 'assistant', content: 'ok' },
        done: true,
        prompt_eval_count: 1,
        eval_count: 1,
      }),
    );
  });
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  stack.defer(() => void provider.close());
  const parsed = parseEnvironment({ HOME: process.env.HOME });
  if (parsed.kind === 'faults') throw new Error('the environment is valid');
  const base_url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  const settings = settingsOf(
    { providers: { ollama: { base_url } }, chains: { default: { targets: ['ollama/m'] } } },
    parsed.environment,
    'the benchmark',
  );
  const server = await startServer({
    role: 'up',
    settings,
    environment: parsed.environment,
    directory: join(directory, 'data'),
    host: '127.0.0.1',
    port: 0,
    logger: createLogger({ level: 'silent' }),
  });
  stack.defer(() => server.stop(1_000));
  const queues = createPostgresQueueBackend(server.database, () => undefined);
  stack.defer(() => queues.close());
  const raw = queues.queue<{ at: number }>('bench-raw');
  let onPickUp: (ms: number) => void = () => undefined;
  const worker = raw.startWorker(async (data) => {
    onPickUp(performance.now() - (data as { at: number }).at);
    return { kind: 'done', note: '' };
  }, 1);
  stack.defer(() => worker.close());
  const client = createClient({ url: server.url, apiKey: server.adminKey });
  const bullmq: number[] = [];
  const whole: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const picked = new Promise<number>((resolve) => {
      onPickUp = resolve;
    });
    await raw.add([{ id: `raw-${round}`, data: { at: performance.now() }, delayMs: 0, priority: 0 }]);
    bullmq.push(await picked);
    const { id } = await client.submit({ model: 'default', prompt: 'hi' });
    whole.push((await client.get(id, { wait: '10s' })).queue_ms ?? Number.NaN);
  }
  await stack.disposeAsync();
  const ratio = figuresOf(whole).median / figuresOf(bullmq).median;
  return [
    show('raw BullMQ: add to processor', 'ms', figuresOf(bullmq)),
    `${show('Waybill: row stored to claim', 'ms', figuresOf(whole))}   ${ratio.toFixed(1)}x raw BullMQ`,
  ];
}

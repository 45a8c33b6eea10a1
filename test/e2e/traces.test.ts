/** One trace from the request to the receiver's doorstep, and nothing secret in it. */

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { JobJson } from '@waybill/producer/job-json.ts';
import { failureKinds, finalKinds } from '@waybill/shared/domain/failure.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { answer, type ScriptedReceiver, startScriptedReceiver } from '../support/scripted-receiver.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';
import { startWaybillProcess } from '../support/waybill-process.ts';

const prompt = 'canary-prompt-5f1e, tell me of the sea';
const output = 'canary-output-a77c, it is deep';
const credential = 'sk-canary-credential-93bd';

let waybill: TestWaybill;
let first: ScriptedProvider;
let second: ScriptedProvider;
let receiver: ScriptedReceiver;

beforeAll(async () => {
  first = await startScriptedProvider(() =>
    refuse(529, { error: { type: 'overloaded_error', message: `busy: ${prompt} ${credential}` } }),
  );
  second = await startScriptedProvider(() => say(output));
  receiver = await startScriptedReceiver();
  waybill = await startWaybill({
    config: {
      providers: {
        first: { preset: 'openai-compatible', base_url: `${first.url}/v1`, api_key: credential },
        second: {
          preset: 'openai-compatible',
          base_url: `${second.url}/v1`,
          api_key: credential,
          models: { m: { input_usd_per_million: '1', output_usd_per_million: '2' } },
        },
      },
      chains: { default: { targets: ['first/m', 'second/m'], mode: 'immediate' } },
    },
  });
});

afterAll(async () => {
  await waybill?.stop();
  await Promise.all([first?.stop(), second?.stop(), receiver?.stop()]);
});

describe('with a tracer provider', () => {
  const exporter = new InMemorySpanExporter();

  beforeEach(() => {
    exporter.reset();
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }));
  });

  afterEach(() => {
    trace.disable();
    context.disable();
  });

  const spansOf = (traceId: string | null): ReadableSpan[] =>
    exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === traceId);
  const nameOf = (span: ReadableSpan | undefined) => span?.name;

  /** A job that fails on the first target and falls back to the second, and every span of its trace. */
  async function runFallback(headers: Record<string, string> = {}): Promise<{ job: JobJson; spans: ReadableSpan[] }> {
    const response = await fetch(`${waybill.url}/v1/jobs`, {
      method: 'POST',
      headers: { authorization: `Bearer ${waybill.adminKey}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: 'default', prompt, webhook_url: receiver.url }),
    });
    const { id } = (await response.json()) as { id: string };
    const job = await whenFinal(waybill.client, id);
    const spans = await eventually(
      () => spansOf(job.trace_id),
      (all) => all.length >= 7,
    );
    return { job, spans };
  }

  test('one job is one trace: request, enqueue, each try with its call, webhook', async () => {
    const { job, spans } = await runFallback();
    expect(job.status).toBe('succeeded');
    expect(job.trace_id).toMatch(/^[0-9a-f]{32}$/);
    const byId = new Map(spans.map((span) => [span.spanContext().spanId, span]));
    const tree = spans.map((span) => [span.name, nameOf(byId.get(span.parentSpanContext?.spanId ?? ''))]);
    expect(tree.toSorted()).toEqual(
      [
        ['POST /v1/jobs', undefined],
        ['enqueue', 'POST /v1/jobs'],
        ['process first', 'enqueue'],
        ['chat m', 'process first'],
        ['process second', 'enqueue'],
        ['chat m', 'process second'],
        ['webhook', 'enqueue'],
      ].toSorted(),
    );
    const kindOf = Object.fromEntries(spans.map((span) => [span.name, span.kind]));
    expect(kindOf).toEqual({
      'POST /v1/jobs': SpanKind.SERVER,
      enqueue: SpanKind.PRODUCER,
      'process first': SpanKind.CONSUMER,
      'process second': SpanKind.CONSUMER,
      'chat m': SpanKind.CLIENT,
      webhook: SpanKind.CLIENT,
    });
  });

  test('the failed try is marked, with a closed kind; the others are not', async () => {
    const { spans } = await runFallback();
    const failed = spans.filter((span) => span.status.code === SpanStatusCode.ERROR);
    expect(failed.map((span) => [span.name, span.attributes['error.type']]).toSorted()).toEqual([
      ['chat m', 'overloaded'],
      ['process first', 'overloaded'],
    ]);
    for (const span of spans) {
      const type = span.attributes['error.type'];
      if (type !== undefined) expect([...failureKinds, ...finalKinds]).toContain(type);
      expect(span.status.message).toBeUndefined();
      expect(span.events).toEqual([]);
    }
    const failedCall = failed.find((span) => span.name === 'chat m');
    expect(failedCall?.attributes).toMatchObject({
      'gen_ai.provider.name': 'first',
      'http.response.status_code': 529,
      'waybill.attempt.number': 1,
    });
  });

  test('the call that delivered has usage, its try the outcome and the cost', async () => {
    const { job, spans } = await runFallback();
    const call = spans.find((span) => span.name === 'chat m' && span.attributes['gen_ai.provider.name'] === 'second');
    const usage = job.usage;
    expect(call?.attributes).toMatchObject({
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'm',
      'gen_ai.response.model': 'm',
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.usage.input_tokens': usage?.prompt_tokens,
      'gen_ai.usage.output_tokens': usage?.completion_tokens,
      'server.address': '127.0.0.1',
      'waybill.job.id': job.id,
      'waybill.attempt.number': 2,
    });
    const tried = spans.find((span) => span.name === 'process second');
    const nano = Number(usage?.prompt_tokens) * 1_000 + Number(usage?.completion_tokens) * 2_000;
    expect(tried?.attributes).toMatchObject({
      'messaging.system': 'bullmq',
      'messaging.destination.name': 'second',
      'waybill.job.id': job.id,
      'waybill.attempt.number': 2,
      'waybill.attempt.outcome': 'succeeded',
      'waybill.cost.nano_usd': nano,
    });
    const left = spans.find((span) => span.name === 'process first');
    expect(left?.attributes).toMatchObject({ 'waybill.attempt.outcome': 'failed', 'waybill.next.target': 'second/m' });
  });

  test('row, entries and webhook carry the same traceparent, and the receiver gets one', async () => {
    const { job, spans } = await runFallback();
    const enqueued = spans.find((span) => span.name === 'enqueue')?.spanContext();
    const traceparent = `00-${job.trace_id}-${enqueued?.spanId}-01`;
    const { rows } = await waybill.server.database.pool.query(
      `select data::json ->> 'traceparent' as traceparent from bullmq.job where data::json ->> 'job' = $1`,
      [job.id],
    );
    expect(rows.map((row) => row.traceparent)).toEqual([traceparent, traceparent, traceparent]);
    const sent = spans.find((span) => span.name === 'webhook');
    const told = receiver.received.find(({ event }) => event.data.id === job.id);
    expect(told?.headers.traceparent).toBe(`00-${job.trace_id}-${sent?.spanContext().spanId}-01`);
    expect(sent?.attributes).toMatchObject({
      'waybill.webhook.type': 'job.succeeded',
      'waybill.job.id': job.id,
      'http.response.status_code': 204,
    });
  });

  test("a caller's own trace is not continued: it would decide our sampling", async () => {
    const callers = '00-11111111111111111111111111111111-2222222222222222-00';
    const { job, spans } = await runFallback({ traceparent: callers });
    expect(job.trace_id).not.toBe('1'.repeat(32));
    expect(spans).toHaveLength(7);
  });

  test('no prompt, output, credential, key or error text of a provider enters a span', async () => {
    const { job } = await runFallback();
    const all = JSON.stringify(
      exporter.getFinishedSpans().map(({ name, attributes, events, status, resource, links }) => ({
        name,
        attributes,
        events,
        status,
        links,
        resource: resource.attributes,
      })),
    );
    expect(all).toContain(job.id);
    for (const secret of ['canary', credential, waybill.adminKey, await waybill.client.webhookSecret(), 'busy:'])
      expect(all).not.toContain(secret);
  });

  test('a webhook that fails marks its span, and each try is a span of the same trace', async () => {
    const failing = await startScriptedReceiver((_, n) => answer(n === 1 ? 500 : 204));
    try {
      const { id } = await waybill.client.submit({ model: 'second/m', prompt, webhook_url: failing.url });
      const { trace_id: traceId } = await whenFinal(waybill.client, id);
      await eventually(
        () => spansOf(traceId).filter((span) => span.name === 'webhook'),
        (tries) => tries.length === 1,
      );
      await waybill.server.database.pool.query(
        `update waybill.webhook_deliveries set next_at = now() where job_id = $1`,
        [id],
      );
      const tries = await eventually(
        () => spansOf(traceId).filter((span) => span.name === 'webhook'),
        (found) => found.length === 2,
      );
      expect(tries.map((span) => [span.status.code, span.attributes['error.type']])).toEqual([
        [SpanStatusCode.ERROR, '500'],
        [SpanStatusCode.UNSET, undefined],
      ]);
    } finally {
      await failing.stop();
    }
  });
});

test('without a tracer provider there is no trace, and nothing is sent along', async () => {
  const { id } = await waybill.client.submit({ model: 'default', prompt, webhook_url: receiver.url });
  const job = await whenFinal(waybill.client, id);
  expect(job).toMatchObject({ status: 'succeeded', trace_id: null });
  const told = await eventually(
    () => receiver.received.find(({ event }) => event.data.id === id),
    (found) => found !== undefined,
  );
  expect(told?.headers).not.toHaveProperty('traceparent');
  const { rows } = await waybill.server.database.pool.query(
    `select data::json ->> 'traceparent' as traceparent from bullmq.job where data::json ->> 'job' = $1`,
    [id],
  );
  expect(rows.map((row) => row.traceparent)).toEqual([null, null, null]);
});

test('with an OTLP endpoint, `waybill up` sends its spans there, and has them out before it ends', async () => {
  const posts: { path: string; type: string; bytes: number; text: string }[] = [];
  const collector = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    posts.push({
      path: request.url ?? '',
      type: String(request.headers['content-type']),
      bytes: body.length,
      text: body.toString('latin1'),
    });
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const directory = await mkdtemp(join(tmpdir(), 'waybill-otlp-'));
  try {
    const up = await startWaybillProcess(
      directory,
      { providers: { second: { preset: 'openai-compatible', base_url: `${second.url}/v1` } } },
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
        OTEL_SERVICE_NAME: 'waybill-under-test',
      },
    );
    const { id, trace_id: traceId } = await up.client.submit({ model: 'second/m', prompt });
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    await whenFinal(up.client, id);
    expect(await up.stop()).toBe(0);
    expect(posts.map((post) => post.path)).toContain('/v1/traces');
    const sent = posts.map((post) => post.text).join('');
    for (const text of ['waybill-under-test', 'chat m', 'process second', 'enqueue', id]) expect(sent).toContain(text);
    for (const secret of ['canary', up.adminKey]) expect(sent).not.toContain(secret);
  } finally {
    collector.closeAllConnections();
    await new Promise((resolve) => collector.close(resolve));
    await rm(directory, { recursive: true, force: true });
  }
});

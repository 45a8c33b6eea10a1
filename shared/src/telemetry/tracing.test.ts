import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { inSpan, markFailed, type SpanOptions, traceIdOf, traceparentOf } from './tracing.ts';

const options: SpanOptions = { kind: 'internal', attributes: {} };
let exporter = new InMemorySpanExporter();
let provider = new TracerProvider();

function startRecording() {
  exporter = new InMemorySpanExporter();
  provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
}
async function stopRecording() {
  trace.disable();
  context.disable();
  await provider.shutdown();
}
beforeEach(startRecording);
afterEach(stopRecording);

const spans = () => exporter.getFinishedSpans();
const only = () => {
  const [span, ...more] = spans();
  if (!span || more.length > 0) throw new Error(`${spans().length} spans`);
  return span;
};

test.for([
  ['server', SpanKind.SERVER],
  ['client', SpanKind.CLIENT],
  ['producer', SpanKind.PRODUCER],
  ['consumer', SpanKind.CONSUMER],
  ['internal', SpanKind.INTERNAL],
] as const)('a span of kind %s is that, with its name and attributes', async ([kind, expected]) => {
  const result = await inSpan('attempt', { kind, attributes: { 'waybill.job.id': 'job_1' } }, async () => 42);
  expect(result).toBe(42);
  expect(only()).toMatchObject({
    name: 'attempt',
    kind: expected,
    attributes: { 'waybill.job.id': 'job_1' },
    status: { code: SpanStatusCode.UNSET },
    ended: true,
  });
});

test('a span that throws is marked and ended, and the error goes on without entering the span', async () => {
  const error = new Error('my prompt');
  await expect(inSpan('attempt', options, () => Promise.reject(error))).rejects.toBe(error);
  expect(only()).toMatchObject({
    attributes: { 'error.type': 'internal_error' },
    status: { code: SpanStatusCode.ERROR },
    ended: true,
  });
  expect(JSON.stringify([only().attributes, only().events, only().status])).not.toContain('prompt');
});

test('a span that throws at once, before any promise, is ended too', async () => {
  const work = () => {
    throw new Error('at once');
  };
  await expect(inSpan('attempt', options, work)).rejects.toThrow('at once');
  expect(only().ended).toBe(true);
});

test('a failure that is no exception is marked by its code', async () => {
  await inSpan('attempt', options, async (span) => markFailed(span, 'rate_limit'));
  expect(only()).toMatchObject({ attributes: { 'error.type': 'rate_limit' }, status: { code: SpanStatusCode.ERROR } });
  expect(only().status.message).toBeUndefined();
});

test('a span inside a span is its child, across awaits', async () => {
  await inSpan('outer', options, async () => {
    await Promise.resolve();
    await inSpan('inner', options, async () => undefined);
  });
  const [inner, outer] = spans();
  expect(inner?.parentSpanContext?.spanId).toBe(outer?.spanContext().spanId);
  expect(inner?.spanContext().traceId).toBe(outer?.spanContext().traceId);
});

test('a trace continues from its traceparent, in another process or another hour', async () => {
  const traceparent = await inSpan('enqueue', options, async (span) => traceparentOf(span));
  await inSpan('attempt', { ...options, parent: traceparent }, async () => undefined);
  const [enqueue, attempt] = spans();
  expect(traceparent).toBe(`00-${enqueue?.spanContext().traceId}-${enqueue?.spanContext().spanId}-01`);
  expect(attempt?.parentSpanContext?.spanId).toBe(enqueue?.spanContext().spanId);
  expect(attempt?.spanContext().traceId).toBe(enqueue?.spanContext().traceId);
});

const foreign = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
test('a given parent wins over the span that is active', async () => {
  await inSpan('outer', options, () => inSpan('inner', { ...options, parent: foreign }, async () => undefined));
  expect(spans()[0]?.spanContext().traceId).toBe('0af7651916cd43dd8448eb211c80319c');
});

test('a root begins a trace of its own', async () => {
  await inSpan('outer', options, () => inSpan('inner', { ...options, isRoot: true }, async () => undefined));
  const [inner, outer] = spans();
  expect(inner?.parentSpanContext).toBeUndefined();
  expect(inner?.spanContext().traceId).not.toBe(outer?.spanContext().traceId);
});

test.for([
  '',
  'garbage',
  '00-00000000000000000000000000000000-b7ad6b7169203331-01',
  '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
  'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  `${foreign}\r\nx: y`,
])('a traceparent that is none (%j) begins a new trace', async (parent) => {
  await inSpan('attempt', { ...options, parent }, async () => undefined);
  expect(only().parentSpanContext).toBeUndefined();
});

test('the id of the trace is that of the span', async () => {
  const id = await inSpan('attempt', options, async (span) => traceIdOf(span));
  expect(id).toBe(only().spanContext().traceId);
});

test('without an exporter the work is done, and there is nothing to pass on', async () => {
  await stopRecording();
  const seen = await inSpan('attempt', options, async (span) => {
    markFailed(span, 'timeout');
    return [traceparentOf(span), traceIdOf(span)];
  });
  expect(seen).toEqual([null, null]);
  await expect(inSpan('attempt', options, () => Promise.reject(new Error('x')))).rejects.toThrow('x');
  startRecording();
});

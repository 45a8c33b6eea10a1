import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../security/secret.ts';
import { createLogger } from './logger.ts';
import { inSpan } from './tracing.ts';

const provider = new TracerProvider({
  spanProcessors: [new SimpleSpanProcessor({ exporter: new InMemorySpanExporter() })],
});
beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
});
afterAll(async () => {
  trace.disable();
  context.disable();
  await provider.shutdown();
});

function createRecorder(level = 'trace') {
  const lines: string[] = [];
  const logger = createLogger({ level, destination: { write: (line) => void lines.push(line) } });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> };
}

const secret = 'sk-live-0123456789';
test.for<[string, object]>([
  ['authorization', { authorization: secret }],
  ['a header of a request', { headers: { authorization: secret, 'x-api-key': secret } }],
  ['a header of a request of an attempt', { attempt: { request: { headers: { authorization: secret } } } }],
  ['x-api-key at the top', { 'x-api-key': secret }],
  ['x-api-key far down', { attempt: { request: { headers: { 'x-api-key': secret } } } }],
  ['api_key', { api_key: secret }],
  ['api_key of a provider', { provider: { api_key: secret } }],
  ['api_key of each provider', { providers: [{ api_key: secret }, { api_key: secret }] }],
  ['api_key in a configuration', { config: { providers: { openai: { api_key: secret } } } }],
  ['apiKey', { options: { client: { apiKey: secret } } }],
  ['secret', { endpoint: { secret } }],
  ['password', { database: { password: secret } }],
  ['messages', { job: { messages: [{ role: 'user', content: secret }] } }],
  ['messages of a body', { request: { messages: [secret] } }],
  ['prompt', { job: { prompt: secret } }],
  ['body', { response: { body: { text: secret } } }],
  ['a value of class Secret, wherever it is', { a: { b: { c: { d: { e: new Secret(secret) } } } } }],
])('redacted: %s', ([, fields]) => {
  const { logger, lines, last } = createRecorder();
  logger.info(fields, 'a call');
  expect(lines.join('')).not.toContain(secret);
  expect(lines.join('')).toMatch(/\[redacted\]|\[secret\]/);
  expect(last().msg).toBe('a call');
});

test('a child logger redacts what it carries', () => {
  const { logger, lines } = createRecorder();
  logger.child({ api_key: secret, provider: { authorization: secret } }).info('a call');
  expect(lines.join('')).not.toContain(secret);
});

test('redaction leaves the object as it was, and other fields readable', () => {
  const { logger, last } = createRecorder();
  const fields = { job: { id: 'job_1', prompt: secret }, attempt: 2, list: [1, null], nothing: null };
  logger.info(fields);
  expect(fields.job.prompt).toBe(secret);
  expect(last()).toMatchObject({
    job: { id: 'job_1', prompt: '[redacted]' },
    attempt: 2,
    list: [1, null],
    nothing: null,
  });
});

test('a line is one JSON object with its level in words and its time in ISO 8601', () => {
  const { logger, lines, last } = createRecorder();
  logger.warn({ n: 1 }, 'two\nlines');
  expect(lines).toHaveLength(1);
  expect(lines[0]?.trimEnd()).not.toContain('\n');
  expect(last()).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    n: 1,
    msg: 'two\nlines',
  });
});

test('an error is written with its message and where it came from', () => {
  const { logger, last } = createRecorder();
  logger.error({ err: new Error('it broke', { cause: new Error('the reason') }) }, 'failed');
  expect(last()).toMatchObject({
    err: { message: expect.stringContaining('it broke'), stack: expect.stringContaining('the reason') },
  });
});

test('below its level nothing is written', () => {
  const { logger, lines } = createRecorder('warn');
  logger.info('no');
  logger.warn('yes');
  expect(lines).toHaveLength(1);
});

test('inside a span each line carries its ids, outside none does', async () => {
  const { logger, lines } = createRecorder();
  logger.info('before');
  const ids = await inSpan('work', { kind: 'internal', attributes: {} }, async (span) => {
    logger.info('at once');
    await Promise.resolve();
    logger.child({ job_id: 'job_1' }).info('later, by a child');
    return span.spanContext();
  });
  logger.info('after');
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const expected = { trace_id: ids.traceId, span_id: ids.spanId };
  expect(records).toMatchObject([{ msg: 'before' }, expected, expected, { msg: 'after' }]);
  for (const record of [records[0], records[3]]) expect(record).not.toHaveProperty('trace_id');
});

test('two spans at once do not mix their ids', async () => {
  const { logger, lines } = createRecorder();
  const bothStarted = Promise.withResolvers<void>();
  let started = 0;
  const work = (name: string) =>
    inSpan(name, { kind: 'internal', attributes: {}, isRoot: true }, async (span) => {
      started += 1;
      if (started === 2) bothStarted.resolve();
      await bothStarted.promise;
      logger.info({ expected: span.spanContext().traceId });
    });
  await Promise.all([work('a'), work('b')]);
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(new Set(records.map((record) => record.trace_id)).size).toBe(2);
  for (const record of records) expect(record.trace_id).toBe(record.expected);
});

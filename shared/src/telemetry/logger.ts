/** Structured logs on standard error: redacted, with the trace they belong to. */
import { trace } from '@opentelemetry/api';
import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

const redacted = [
  'authorization',
  '*.authorization',
  'headers.authorization',
  'headers["x-api-key"]',
  'api_key',
  '*.api_key',
  'apiKey',
  '*.apiKey',
  'secret',
  '*.secret',
  'password',
  '*.password',
  'messages',
  '*.messages',
  'prompt',
  '*.prompt',
  'body',
  '*.body',
];

/** Standard error by default: standard output belongs to results. */
export function createLogger(options: { level: string; destination?: { write(line: string): void } }): Logger {
  return pino(
    {
      level: options.level,
      redact: { paths: redacted, censor: '[redacted]' },
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      mixin() {
        const span = trace.getActiveSpan()?.spanContext();
        return span && trace.isSpanContextValid(span) ? { trace_id: span.traceId, span_id: span.spanId } : {};
      },
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  );
}

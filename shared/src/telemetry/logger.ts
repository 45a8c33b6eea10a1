/** Structured logs on standard error: redacted, with the trace they belong to. */
import { trace } from '@opentelemetry/api';
import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

const secretNames = ['authorization', 'api_key', 'apiKey', 'secret', 'password', 'messages', 'prompt', 'body'];
/** A secret may hang on a request that hangs on an error: names are looked for down to the fourth level. */
const redacted = ['', '*.', '*.*.', '*.*.*.'].flatMap((level) => [
  ...secretNames.map((name) => level + name),
  `${level.replace(/\.$/, '')}["x-api-key"]`,
]);

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

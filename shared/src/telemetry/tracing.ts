/**
 * Our own spans: HTTP, enqueue, attempt, chat, webhook; one trace from the request to the receiver.
 *
 * The context travels as a `traceparent` in the job row, the entry and the delivery row. Without an exporter the API
 * hands out spans that do nothing, and no SDK is loaded. Prompts and outputs never enter a span.
 */
import { type Attributes, type Context, context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { tracerName } from './names.ts';

const propagator = new W3CTraceContextPropagator();
const setter = {
  set(carrier: Record<string, string>, key: string, value: string) {
    carrier[key] = value;
  },
};
const getter = {
  get: (carrier: Record<string, string>, key: string) => carrier[key],
  keys: (carrier: Record<string, string>) => Object.keys(carrier),
};

/** The W3C `traceparent` of a span; null when nothing is recorded. */
export function traceparentOf(span: Span): string | null {
  const carrier: Record<string, string> = {};
  propagator.inject(trace.setSpan(context.active(), span), carrier, setter);
  return carrier.traceparent ?? null;
}

export const traceIdOf = (span: Span): string | null =>
  traceparentOf(span) === null ? null : span.spanContext().traceId;

function contextOf(traceparent: string | null): Context {
  return traceparent === null ? context.active() : propagator.extract(context.active(), { traceparent }, getter);
}

export interface SpanOptions {
  readonly kind: 'server' | 'client' | 'producer' | 'consumer' | 'internal';
  readonly attributes: Attributes;
  /** Continue this trace; null: the active span, or a new trace. */
  readonly parent?: string | null;
  readonly isRoot?: boolean;
}

const kinds = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
};

/** Runs the work inside a span, and ends it whatever happens. */
export async function inSpan<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T> {
  const parent = contextOf(options.parent ?? null);
  const span = trace
    .getTracer(tracerName)
    .startSpan(
      name,
      { kind: kinds[options.kind], attributes: options.attributes, root: options.isRoot ?? false },
      parent,
    );
  try {
    return await context.with(trace.setSpan(parent, span), () => work(span));
  } catch (error) {
    markFailed(span, 'internal_error');
    throw error;
  } finally {
    span.end();
  }
}

/** `type` is one of our closed codes, never a message: a provider's text may echo a prompt. */
export function markFailed(span: Span, type: string): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

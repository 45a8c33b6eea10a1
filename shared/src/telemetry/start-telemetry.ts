/**
 * Starts the exporter when one is configured (`OTEL_EXPORTER_OTLP_ENDPOINT`), and loads nothing otherwise.
 *
 * `service.name` and resource attributes come from the usual `OTEL_*` variables.
 */
import { context, trace } from '@opentelemetry/api';

export interface Telemetry {
  /** Flushes and stops, within a limit: a collector that is down must not hold the exit. */
  shutdown(): Promise<void>;
}

const shutdownLimitMs = 3_000;
const off: Telemetry = { shutdown: () => Promise.resolve() };

export async function startTelemetry(env: NodeJS.ProcessEnv, version: string): Promise<Telemetry> {
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (!endpoint || env.OTEL_SDK_DISABLED === 'true' || env.OTEL_TRACES_EXPORTER === 'none') return off;
  const [
    { TracerProvider, BatchSpanProcessor },
    { OTLPTraceExporter },
    { resourceFromAttributes },
    { AsyncLocalStorageContextManager },
  ] = await Promise.all([
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/context-async-hooks'),
  ]);
  const extra = Object.fromEntries(
    (env.OTEL_RESOURCE_ATTRIBUTES ?? '').split(',').flatMap((pair) => {
      const [key, value] = pair.split('=').map((part) => part.trim());
      return key && value ? [[key, decodeURIComponent(value)]] : [];
    }),
  );
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': env.OTEL_SERVICE_NAME || 'waybill',
      'service.version': version,
      ...extra,
    }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  trace.setGlobalTracerProvider(provider);
  return {
    async shutdown() {
      const limit = Promise.withResolvers<void>();
      const timer = setTimeout(limit.resolve, shutdownLimitMs);
      await Promise.race([provider.shutdown().catch(() => undefined), limit.promise]);
      clearTimeout(timer);
      trace.disable();
      context.disable();
    },
  };
}

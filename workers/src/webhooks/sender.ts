/**
 * Sends webhooks: at least once, under one id, signed, without following anything the receiver says.
 *
 * Only due deliveries are in the queue; their schedule lives in the delivery row. 2xx alone is success, 410 disables
 * the receiver, and no more than 64 KB of an answer are read.
 */
import { parseRetryAfter } from '@waybill/shared/providers/retry-after.ts';
import { type DeliveryEntry, deliveryEntrySchema } from '@waybill/shared/queue/entry.ts';
import { type EntryOutcome, type QueueItem, type QueueWorker, webhookQueueName } from '@waybill/shared/queue/queue.ts';
import {
  createDeliveryFinder,
  createDeliverySettler,
  type DeliveryEnd,
  type DeliveryRow,
  type DueDelivery,
  releaseDeliveries,
  takeDueDeliveries,
} from '@waybill/shared/store/deliveries.ts';
import { disableEndpoint } from '@waybill/shared/store/webhook-endpoints.ts';
import { attribute } from '@waybill/shared/telemetry/names.ts';
import { inSpan, markFailed, traceparentOf } from '@waybill/shared/telemetry/tracing.ts';
import { Webhook } from 'standardwebhooks';
import { type Dispatcher, request } from 'undici';
import { type Loop, startLoop } from '../loop.ts';
import type { WorkerContext } from '../worker-context.ts';
import { createGuardedAgent } from './guarded-agent.ts';
import { createReceiverSlots, type ReceiverSlots } from './receiver-slots.ts';
import { nextTryMs } from './schedule.ts';
import { createSecrets, type Secrets } from './secrets.ts';

const concurrency = 32;
const connectTimeoutMs = 5_000;
const maxAnswerBytes = 64 * 1_024;
const dueIntervalMs = 1_000;
const dueBatch = 500;

export interface WebhookSender {
  /** Stops taking deliveries; the running ones end within their timeout. */
  stop(): Promise<void>;
}

export function startWebhookSender(context: WorkerContext): WebhookSender {
  const agent = createGuardedAgent(context.receivers, connectTimeoutMs);
  const parts: SenderParts = {
    agent,
    find: createDeliveryFinder(context.database),
    settle: createDeliverySettler(context.database),
    secretOf: createSecrets(context),
    receivers: createReceiverSlots(),
    context,
  };
  const queue = context.queues.queue<DeliveryEntry>(webhookQueueName);
  const worker: QueueWorker = queue.startWorker((data) => deliver(data, parts), concurrency);
  const due: Loop = startLoop({
    name: 'webhooks due',
    intervalMs: dueIntervalMs,
    logger: context.logger,
    async round() {
      // What is taken and not added would wait for five minutes.
      if (!context.queues.isReachable()) return undefined;
      const rows = await takeDueDeliveries(context.database, dueBatch);
      await queue.add(rows.map(toItem)).catch(async (error: unknown) => {
        await releaseDeliveries(
          context.database,
          rows.map(({ id }) => id),
        );
        throw error;
      });
      return undefined;
    },
  });
  return {
    async stop() {
      await due.stop();
      await worker.close();
      await agent.close();
    },
  };
}

const toItem = (row: DeliveryRow): QueueItem<DeliveryEntry> => ({
  id: `${row.id}-${row.seq}`,
  delayMs: 0,
  priority: 1,
  data: {
    delivery: row.id,
    seq: row.seq,
    tenant: row.tenant_id,
    event: row.type,
    job: row.job_id,
    traceparent: row.traceparent,
  },
});

interface SenderParts {
  readonly agent: Dispatcher;
  readonly find: ReturnType<typeof createDeliveryFinder>;
  readonly settle: ReturnType<typeof createDeliverySettler>;
  readonly secretOf: Secrets;
  readonly receivers: ReceiverSlots;
  readonly context: WorkerContext;
}

/** How long a delivery stays away whose receiver is slow and busy. */
const busyDelayMs = 1_000;

async function deliver(data: unknown, parts: SenderParts): Promise<EntryOutcome> {
  const { find, settle, receivers, context } = parts;
  const entry = deliveryEntrySchema.safeParse(data);
  if (!entry.success) return { kind: 'done', note: 'not an entry of this version' };
  const { delivery: id, seq, traceparent } = entry.data;
  const delivery = await find({ id, seq });
  if (!delivery) return { kind: 'done', note: 'stale: the delivery went on without this entry' };
  if (!receivers.take(delivery.endpoint_id)) return { kind: 'delay', delayMs: busyDelayMs };
  const startedAt = performance.now();
  const attributes = {
    [attribute.webhookType]: delivery.type,
    [attribute.jobId]: delivery.job_id,
    [attribute.serverAddress]: new URL(delivery.url).hostname,
  };
  return inSpan(
    'webhook',
    { kind: 'client', attributes, parent: traceparent, isRoot: traceparent === null },
    async (span) => {
      const end = await sendOnce(delivery, traceparentOf(span), parts);
      receivers.release(delivery.endpoint_id, performance.now() - startedAt);
      if (end.status !== null) span.setAttribute(attribute.httpStatus, end.status);
      if (end.kind !== 'delivered') markFailed(span, end.status === null ? 'network' : String(end.status));
      await settle({ id, seq, end });
      if (end.kind === 'failed' && end.status === 410)
        await disableEndpoint(context.database, delivery.endpoint_id, 'the receiver answered 410 Gone');
      return end.kind === 'delivered'
        ? { kind: 'done', note: `delivered: HTTP ${end.status}` }
        : { kind: 'failed', note: end.error };
    },
  );
}

async function sendOnce(
  delivery: DueDelivery,
  traceparent: string | null,
  { agent, secretOf, context }: SenderParts,
): Promise<DeliveryEnd> {
  const sentAt = new Date(Math.floor(context.now() / 1_000) * 1_000);
  try {
    const secret = await secretOf(delivery.tenant_id);
    const response = await request(delivery.url, {
      method: 'POST',
      dispatcher: agent,
      signal: AbortSignal.timeout(context.settings().webhooks.timeoutMs),
      body: delivery.payload,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Waybill-Webhooks/1',
        'webhook-id': delivery.event_id,
        'webhook-timestamp': String(sentAt.getTime() / 1_000),
        'webhook-signature': new Webhook(secret).sign(delivery.event_id, sentAt, delivery.payload),
        ...(traceparent === null ? {} : { traceparent }),
      },
    });
    const status = response.statusCode;
    await readBounded(response.body);
    if (status >= 200 && status < 300) return { kind: 'delivered', status };
    if (status === 410) return { kind: 'failed', status, error: 'HTTP 410: the receiver is gone, and was disabled' };
    const headers = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)]));
    return tryAgain(delivery, status, `HTTP ${status}`, parseRetryAfter(headers, '', context.now()), context);
  } catch (error) {
    return tryAgain(delivery, null, describe(error), null, context);
  }
}

/** Reads what the receiver says, up to a bound, so that its connection can be used again. */
async function readBounded(body: Dispatcher.ResponseData['body']): Promise<void> {
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) return; // Leaving the loop destroys the connection.
  }
}

function tryAgain(
  delivery: DueDelivery,
  status: number | null,
  error: string,
  retryAfterMs: number | null,
  { random }: WorkerContext,
): DeliveryEnd {
  const delayMs = nextTryMs(delivery.attempts + 1, random(), retryAfterMs);
  if (delayMs === null)
    return { kind: 'failed', status, error: `${error}; given up after ${delivery.attempts + 1} tries` };
  return { kind: 'again', status, error, delayMs };
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'the receiver could not be reached';
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'the receiver did not answer in time';
  const code = 'code' in error ? String(error.code) : '';
  return code === 'blocked_address'
    ? error.message
    : `the receiver could not be reached${/^[A-Z0-9_]{3,40}$/.test(code) ? ` (${code})` : ''}`;
}

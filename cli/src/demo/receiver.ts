/** The demo's webhook receiver: verifies every signature with the reference library, and counts events once. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

export interface Receiver {
  readonly url: string;
  /** Distinct events whose signature was right. */
  verified(): number;
  rejected(): number;
  /** Resolves when that many events are verified, or the time is over. */
  untilVerified(count: number, limitMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** @param secretOf read at the first delivery: the tenant's secret is made with the server */
export async function startReceiver(secretOf: () => Promise<string>): Promise<Receiver> {
  const events = new Set<string>();
  let rejected = 0;
  let webhook: Promise<Webhook> | null = null;
  let onEvent: () => void = () => undefined;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    webhook ??= secretOf().then((secret) => new Webhook(secret));
    try {
      (await webhook).verify(Buffer.concat(chunks).toString('utf8'), request.headers as Record<string, string>);
      events.add(String(request.headers['webhook-id']));
      response.writeHead(204).end();
    } catch {
      rejected += 1;
      response.writeHead(400).end();
    }
    onEvent();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`,
    verified: () => events.size,
    rejected: () => rejected,
    untilVerified: (count, limitMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, limitMs);
        onEvent = () => {
          if (events.size < count) return;
          clearTimeout(timer);
          resolve();
        };
        onEvent();
      }),
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** A receiver of webhooks on loopback that answers as a test says, and remembers every request with its exact bytes. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** As it was sent: what the signature is of. */
  readonly body: string;
  readonly event: ReceivedEvent;
}

export interface ReceivedEvent {
  readonly type: string;
  readonly timestamp: string;
  readonly data: { readonly id: string } & Record<string, unknown>;
}

export interface ScriptedReceiver {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  /** Connections opened, whether or not anything was sent over them. */
  connections(): number;
  /** Bytes that reached it. */
  bytes(): number;
  stop(): Promise<void>;
}

export const answer =
  (status: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void =>
    void response.writeHead(status, headers).end();

/** @param script how the n-th request is answered, counted from 1; it may leave the response open */
export async function startScriptedReceiver(
  script: (received: Received, n: number) => (response: ServerResponse) => void = () => answer(204),
): Promise<ScriptedReceiver> {
  const received: Received[] = [];
  let connections = 0;
  let bytes = 0;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const one = {
      path: request.url ?? '',
      headers: request.headers,
      body,
      event: JSON.parse(body || '{}') as ReceivedEvent,
    };
    received.push(one);
    script(one, received.length)(response);
  });
  server.on('connection', (socket) => {
    connections += 1;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hooks`,
    port,
    received,
    connections: () => connections,
    bytes: () => bytes,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/**
 * The fake webhook receiver, a process of its own: verifies every signature with the reference library, and writes down
 * every delivery.
 *
 *     node receiver.ts <log file>
 *
 * `PUT /control` of the control address sets the mode and the secret.
 */
import { openSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { findFreePort } from '../support/server-port.ts';
import type { DeliveryEvent, ReceiverMode } from './behaviour.ts';

/** Longer than the product waits. */
const slowMs = 60_000;

const [logFile = 'receiver.log'] = process.argv.slice(2);
const log = openSync(logFile, 'a');
let mode: ReceiverMode = 'ok';
let webhook: Webhook | null = null;

const server = createServer((request, response) => void receive(request, response));
const port = await listen(server, await findFreePort());
const control = createServer(async (request, response) => {
  const wanted = JSON.parse(await readBody(request)) as { mode?: ReceiverMode; secret?: string };
  if (wanted.secret !== undefined) webhook = new Webhook(wanted.secret);
  if (wanted.mode !== undefined) await become(wanted.mode);
  response.end('{}');
});
const controlPort = await listen(control, 0);
process.stdout.write(`${JSON.stringify({ control: controlPort, port })}\n`);

async function become(wanted: ReceiverMode): Promise<void> {
  mode = wanted;
  if (mode === 'down' && server.listening) {
    server.close();
    server.closeAllConnections();
  }
  if (mode !== 'down' && !server.listening) await listen(server, port);
}

function listen(each: Server, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    each.once('error', reject);
    each.listen(at, '127.0.0.1', () => resolve((each.address() as AddressInfo).port));
  });
}

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request).catch(() => null);
  if (body === null) return;
  const status = mode === 'slow' ? null : mode === 'redirecting' ? 302 : mode === 'error' ? 500 : 204;
  const { type = '', data } = (parse(body) ?? {}) as { type?: string; data?: { id?: string } };
  const event: DeliveryEvent = {
    t: Date.now(),
    event: request.url === '/trap' ? 'trap' : 'delivery',
    webhookId: String(request.headers['webhook-id']),
    type,
    jobId: data?.id ?? '',
    isVerified: verify(body, request),
    mode,
    status,
  };
  writeSync(log, `${JSON.stringify(event)}\n`);
  if (status === null) {
    const timer = setTimeout(() => response.writeHead(204).end(), slowMs);
    response.once('close', () => clearTimeout(timer));
    return;
  }
  response.writeHead(status, status === 302 ? { location: `http://127.0.0.1:${port}/trap` } : {}).end();
}

function verify(body: string, request: IncomingMessage): boolean {
  try {
    webhook?.verify(body, request.headers as Record<string, string>);
    return webhook !== null;
  } catch {
    return false;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

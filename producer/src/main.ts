/** The API process: the HTTP server around the application, with its limits and its end. */

import { createHmac } from 'node:crypto';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { ChunkStore } from '@waybill/shared/coordination/chunks.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import { createFleetView, fleetSources } from '@waybill/shared/coordination/fleet-view.ts';
import { newId } from '@waybill/shared/domain/ids.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { listen } from '@waybill/shared/http/listen.ts';
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import type { ReceiverPolicy } from '@waybill/shared/security/receiver-address.ts';
import type { Sealer } from '@waybill/shared/security/seal.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import type { Router } from 'express';
import { createApp } from './app.ts';
import { type Authenticator, createAuthenticator } from './authentication.ts';
import { createCursors } from './cursor.ts';
import { createEnqueue } from './enqueue.ts';
import { problemJson } from './problems.ts';
import { maxBodyBytes } from './read-body.ts';
import { createReceivers } from './receivers.ts';
import { createWaiter } from './wait.ts';

const maxHeaderBytes = 16 * 1024;
const headersTimeoutMs = 15_000;
const requestTimeoutMs = 60_000;

export interface ApiOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly database: Database;
  readonly queues: QueueBackend;
  readonly coordination: Coordination;
  readonly chunks: ChunkStore;
  readonly settings: () => Settings;
  readonly sealer: Sealer;
  readonly masterKey: Uint8Array;
  readonly adminKey: string;
  readonly receivers: ReceiverPolicy;
  readonly logger: Logger;
  readonly version: string;
  readonly mounts: (authenticator: Authenticator) => readonly { path: string; router: Router }[];
}

export interface Api {
  readonly url: string;
  /** No new requests; the running ones get a while to end. */
  stop(graceMs: number): Promise<void>;
}

export async function startApi(options: ApiOptions): Promise<Api> {
  let isStopping = false;
  const server: Server = createServer({
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: 10_000,
    // The application refuses a missing Host itself, in our own form.
    requireHostHeader: false,
  });
  const self = () => ({ host: options.host, port: (server.address() as AddressInfo | null)?.port ?? 0 });
  const authenticator = createAuthenticator(options.database, options.adminKey);
  const receivers = createReceivers(options.receivers, self);
  const fleet = createFleetView(fleetSources(options.coordination, options.database), (error) =>
    options.logger.warn({ err: error }, 'what the fleet knows could not be read'),
  );
  const app = createApp(
    {
      ...options,
      authenticator,
      fleet,
      receivers,
      enqueue: createEnqueue({ ...options, receivers, fleet }),
      cursors: createCursors(createHmac('sha256', options.masterKey).update('cursors').digest()),
      waiter: createWaiter(options.coordination),
      isStopping: () => isStopping,
    },
    options.mounts(authenticator),
  );
  server.on('request', app);
  server.on('checkContinue', (request, response) => {
    if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return refuseContinue(response);
    response.writeContinue();
    server.emit('request', request, response);
  });
  // An expectation nobody knows is ignored, as RFC 9110 allows; Node's own 417 has no body.
  server.on('checkExpectation', app);
  server.on('clientError', answerClientError);
  const listening = await listen(server, options.host, options.port);
  return {
    url: listening.url,
    stop(graceMs) {
      isStopping = true;
      return listening.stop(graceMs);
    },
  };
}

function refuseContinue(response: ServerResponse): void {
  const problem = new Problem('payload_too_large', `Cannot read the body: it is larger than ${maxBodyBytes} bytes`);
  const requestId = newId('req');
  const body = JSON.stringify(problemJson(problem, requestId));
  response.writeHead(problem.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-request-id': requestId,
    connection: 'close',
  });
  response.end(body);
}

/** What Node refuses before there is a request, in our own form. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const problem =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new Problem('headers_too_large', `Cannot read the request: its headers are larger than ${maxHeaderBytes} bytes`)
      : new Problem('invalid_http', 'Cannot read the request: it is not valid HTTP/1.1');
  const requestId = newId('req');
  const body = JSON.stringify(problemJson(problem, requestId));
  socket.end(
    `HTTP/1.1 ${problem.status} Error\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nx-request-id: ${requestId}\r\nconnection: close\r\n\r\n${body}`,
  );
}

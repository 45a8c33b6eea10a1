/** An HTTP server that listens, says where, and ends in bounded time. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Problem } from '../domain/problem.ts';

export interface Listening {
  readonly url: string;
  readonly port: number;
  /** No new requests; the running ones get a while to end. */
  stop(graceMs: number): Promise<void>;
}

const idleCheckMs = 50;

/** @param port 0 takes any free port. @throws Problem `port_in_use` */
export async function listen(server: Server, host: string, port: number): Promise<Listening> {
  await bind(server, host, port);
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    async stop(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // A client that keeps its connection would keep the server: from now on each answer ends one.
      server.prependListener('request', (_request, response) => void response.setHeader('connection', 'close'));
      const idle = setInterval(() => server.closeIdleConnections(), idleCheckMs);
      server.closeIdleConnections();
      const force = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(force);
      clearInterval(idle);
    },
  };
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why =
        cause.code === 'EADDRINUSE'
          ? 'another program listens there'
          : cause.code === 'EACCES'
            ? 'ports below 1024 need more rights'
            : String(cause.code);
      reject(
        new Problem('port_in_use', `Cannot listen on ${host}:${port}: ${why}. Set WAYBILL_PORT to another port`, {
          cause,
        }),
      );
    });
    server.listen(port, host, () => resolve());
  });
}

/** `/healthz` and `/readyz` of a worker process, for its supervisor. It answers nothing else. */
import { createServer } from 'node:http';
import { type Listening, listen } from '@waybill/shared/http/listen.ts';

export interface Health {
  /** Queues whose pool does nothing although it could. */
  stuck(): readonly string[];
  isReady(): Promise<boolean>;
}

const answerTimeoutMs = 5_000;

export function startHealthServer(host: string, port: number, version: string, health: Health): Promise<Listening> {
  const server = createServer(
    { headersTimeout: answerTimeoutMs, requestTimeout: answerTimeoutMs },
    async (request, response) => {
      const [status, body] = await answer(request.method ?? '', request.url ?? '', version, health);
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(JSON.stringify(body));
    },
  );
  return listen(server, host, port);
}

async function answer(method: string, path: string, version: string, health: Health): Promise<[number, object]> {
  if (method !== 'GET' && method !== 'HEAD') return [405, { status: 'method not allowed' }];
  if (path === '/healthz') {
    const stuck = health.stuck();
    return stuck.length === 0 ? [200, { status: 'ok', version }] : [503, { status: 'stuck', version, queues: stuck }];
  }
  if (path !== '/readyz') return [404, { status: 'not found' }];
  return (await health.isReady().catch(() => false)) ? [200, { status: 'ready' }] : [503, { status: 'not ready' }];
}

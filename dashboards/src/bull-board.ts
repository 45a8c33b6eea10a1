/**
 * Bull Board, read-only: what is in the queues now. The backlog is in the database; each queue's description says
 * how much of it waits there.
 *
 * A browser signs in with Basic auth: any user name, an admin API key as the password.
 */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { type QueueBackend, webhookQueueName } from '@waybill/shared/queue/queue.ts';
import { backlogSizes } from '@waybill/shared/store/backlog.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import type { Caller } from '@waybill/shared/store/tenants.ts';
import { type RequestHandler, type Response, Router } from 'express';

export const bullBoardPath = '/admin/queues';

const contentSecurityPolicy =
  "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

export interface BullBoardOptions {
  readonly queues: QueueBackend;
  readonly database: Database;
  /** @throws Problem when the key is not a key of this server */
  readonly callerOf: (key: string | null, address: string) => Promise<Caller>;
}

export function bullBoardRouter({ queues, database, callerOf }: BullBoardOptions): Router {
  const adapter = new ExpressAdapter();
  adapter.setBasePath(bullBoardPath);
  const board = createBullBoard({
    queues: [],
    serverAdapter: adapter,
    options: {
      uiConfig: { boardTitle: 'Waybill queues', hideRedisDetails: true, hideDocsLink: true, showWorkers: false },
    },
  });
  const shown = new Map<string, BullMQAdapter>();
  const router = Router();
  router.use((_request, response, next) => {
    // The page would fetch its fonts from another host: who looks at the queues is nobody else's business.
    response.set('content-security-policy', contentSecurityPolicy);
    next();
  });
  router.use(basicAuth(callerOf));
  router.use(async (request, _response, next) => {
    // The page polls: descriptions follow the backlog, and queues opened since the start appear.
    if (request.path === '/' || request.path.startsWith('/api/queues')) await refresh(board, shown, queues, database);
    next();
  });
  router.use(adapter.getRouter() as Router);
  return router;
}

const mostCounted = 10_000;

async function refresh(
  board: ReturnType<typeof createBullBoard>,
  shown: Map<string, BullMQAdapter>,
  queues: QueueBackend,
  database: Database,
): Promise<void> {
  const waiting = await backlogSizes(database, mostCounted);
  for (const { name, bullmq } of queues.opened()) {
    const adapter =
      shown.get(name) ??
      new BullMQAdapter(bullmq as never, {
        readOnlyMode: true,
        allowRetries: false,
        externalJobUrl: jobLink,
        description: '',
      });
    const count = waiting.get(name) ?? 0;
    const text =
      name === webhookQueueName
        ? 'webhook deliveries that are due; later tries wait in the database'
        : `${count >= mostCounted ? `${mostCounted} or more` : count} jobs wait in the backlog`;
    Object.assign(adapter, { description: text });
    if (shown.has(name)) continue;
    shown.set(name, adapter);
    board.addQueue(adapter);
  }
}

/** Every entry links to the job it belongs to. */
function jobLink(entry: { data?: unknown }): { href: string; displayText: string } {
  const id = (entry.data as { job?: string } | undefined)?.job ?? '';
  return { href: `/admin/jobs/${encodeURIComponent(id)}`, displayText: 'job' };
}

/** The password of Basic auth is an admin API key. */
export function basicAuth(callerOf: BullBoardOptions['callerOf']): RequestHandler {
  return async (request, response, next) => {
    const encoded = /^Basic +([A-Za-z0-9+/=]{1,2000})$/i.exec(request.headers.authorization ?? '')?.[1];
    const password =
      encoded === undefined ? null : Buffer.from(encoded, 'base64').toString('utf8').split(':').slice(1).join(':');
    try {
      const caller = await callerOf(password, request.socket.remoteAddress ?? '');
      if (!caller.scopes.includes('admin'))
        throw new Problem('insufficient_scope', 'Cannot open the dashboards: the API key lacks the scope "admin"');
      response.locals.caller = caller;
    } catch (error) {
      if (!(error instanceof Problem) || error.status >= 500) throw error;
      return refuse(response, error);
    }
    next();
  };
}

/** Answered here: the API's error handler asks for a bearer key, and a browser opens its sign-in for Basic alone. */
function refuse(response: Response, { status, message, type, param, code, retryAfterSeconds }: Problem): void {
  if (status === 401)
    response.set(
      'www-authenticate',
      'Basic realm="Waybill: any user name, an admin API key as password", charset="UTF-8"',
    );
  if (retryAfterSeconds !== null) response.set('retry-after', String(retryAfterSeconds));
  response.status(status).json({ error: { message, type, param, code, request_id: response.locals.requestId } });
}

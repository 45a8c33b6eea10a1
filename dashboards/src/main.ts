/** The dashboards as a process of their own: pages and health, and nothing that takes work in. */
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import express, { type Express, type Router } from 'express';
import { bullBoardPath } from './bull-board.ts';

export interface DashboardsOptions {
  readonly database: Database;
  readonly queues: QueueBackend;
  readonly version: string;
  readonly mounts: readonly { path: string; router: Router }[];
}

export function createDashboards({ database, queues, version, mounts }: DashboardsOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use((_request, response, next) => {
    response.set({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    next();
  });
  app.get('/healthz', (_request, response) => void response.json({ status: 'ok', version }));
  app.get('/readyz', async (_request, response) => {
    const isReady =
      queues.isReachable() &&
      (await database.pool.query('select 1').then(
        () => true,
        () => false,
      ));
    response.status(isReady ? 200 : 503).json({ status: isReady ? 'ready' : 'not ready' });
  });
  app.get('/', (_request, response) => response.redirect(bullBoardPath));
  for (const { path, router } of mounts) app.use(path, router);
  app.use((_request, response) => void response.status(404).json({ error: { message: 'there is no such page' } }));
  return app;
}

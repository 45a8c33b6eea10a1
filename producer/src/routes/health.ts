/** `/healthz`: the process runs. `/readyz`: it can take work. */
import { Router } from 'express';
import type { ApiContext } from '../api-context.ts';
import { onlyMethods } from '../methods.ts';

export function healthRouter({ database, isStopping, version }: ApiContext): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/healthz')
    .get((_request, response) => void response.json({ status: 'ok', version }))
    .all(onlyMethods('GET'));
  router
    .route('/readyz')
    .get(async (_request, response) => {
      const isReady =
        !isStopping() &&
        (await database.pool.query('select 1').then(
          () => true,
          () => false,
        ));
      response.status(isReady ? 200 : 503).json({ status: isReady ? 'ready' : 'not ready' });
    })
    .all(onlyMethods('GET'));
  return router;
}

/** `/admin/jobs/:id`: where a link on a dashboard leads; the job of any tenant, for an admin's browser. */
import { isId } from '@waybill/shared/domain/ids.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { withAttempts } from '@waybill/shared/store/jobs.ts';
import { type RequestHandler, Router } from 'express';
import { toJobJson } from '../job-json.ts';

/** @param onlyAdmins the dashboards' own sign-in */
export function adminJobsRouter(database: Database, onlyAdmins: RequestHandler): Router {
  const router = Router({ caseSensitive: true });
  router.get('/:id', onlyAdmins, async (request, response) => {
    const id = String(request.params.id);
    const rows = isId('job', id)
      ? await database.kysely.selectFrom('waybill.jobs').selectAll().where('id', '=', id).execute()
      : [];
    const [view] = await withAttempts(database.kysely, rows);
    if (!view) throw new Problem('not_found', `Cannot find the job "${id.slice(0, 64)}"`, { param: 'id' });
    response.type('application/json').send(JSON.stringify(toJobJson(view), null, 2));
  });
  return router;
}

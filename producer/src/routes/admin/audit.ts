/** `GET /admin/v1/audit`: what somebody must be able to prove later, oldest first; the cursor is the number of the last one. */

import { isId } from '@waybill/shared/domain/ids.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { type AuditedAct, readAudit } from '@waybill/shared/store/audit.ts';
import { Router } from 'express';
import type { ApiContext } from '../../api-context.ts';
import { requireScope } from '../../authentication.ts';
import { onlyMethods } from '../../methods.ts';
import { strictQuery } from '../../strict-query.ts';
import { afterOf, limitOf } from './page-query.ts';

export interface AuditJson {
  readonly object: 'audit_entry';
  /** Rises with every entry. */
  readonly ord: number;
  readonly at: string;
  /** The id of an API key, or `waybill`. */
  readonly actor: string;
  readonly action: string;
  readonly tenant_id: string | null;
  readonly job_id: string | null;
  /** Kinds and names, never contents. */
  readonly detail: unknown;
}

export interface AuditList {
  readonly object: 'list';
  readonly data: readonly AuditJson[];
  readonly has_more: boolean;
  /** What `after` is for the next page, now or later. */
  readonly next_after: number;
}

export function adminAuditRouter({ authenticator, database }: ApiContext): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/')
    .get(requireScope(authenticator, 'admin'), async (request, response) => {
      const query = strictQuery(request, ['after', 'job_id', 'limit']);
      const after = afterOf(query.after, 'the audit');
      const limit = limitOf(query.limit, 'the audit');
      const jobId = query.job_id === undefined ? null : jobIdOf(query.job_id);
      const entries = await readAudit(database, { after, jobId, limit: limit + 1 });
      const page = entries.slice(0, limit);
      response.json({
        object: 'list',
        data: page.map(auditJson),
        has_more: entries.length > limit,
        next_after: page.at(-1)?.ord ?? after,
      } satisfies AuditList);
    })
    .all(onlyMethods('GET'));
  return router;
}

const auditJson = ({ ord, at, actor, action, tenantId, jobId, detail }: AuditedAct): AuditJson => ({
  object: 'audit_entry',
  ord,
  at: at.toISOString(),
  actor,
  action,
  tenant_id: tenantId,
  job_id: jobId,
  detail,
});

function jobIdOf(text: string): string {
  if (isId('job', text)) return text;
  throw new Problem(
    'invalid_value',
    `Cannot list the audit: job_id is "${text.slice(0, 64)}", expected the id of a job, job_…`,
    { param: 'job_id' },
  );
}

/** `GET /admin/v1/audit`: what somebody must be able to prove later, oldest first; the cursor is the number of the last one. */

import { isId } from '@waybill/shared/domain/ids.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { type AuditedAct, readAudit } from '@waybill/shared/store/audit.ts';
import { Router } from 'express';
import type { ApiContext } from '../../api-context.ts';
import { requireScope } from '../../authentication.ts';
import { onlyMethods } from '../../methods.ts';
import { strictQuery } from '../../strict-query.ts';
import { afterOf, limitOf, type OrdList, ordList } from '../ord-list.ts';

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

export type AuditList = OrdList<AuditJson>;

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
      response.json(ordList(entries.map(auditJson), { after, limit }) satisfies AuditList);
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

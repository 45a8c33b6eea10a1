/** `/v1/webhook-endpoints/default`: the secret that signs every webhook to an ad-hoc address. */
import { webhookSecretOf } from '@waybill/shared/store/tenants.ts';
import { Router } from 'express';
import type { ApiContext } from '../api-context.ts';
import { callerOf, requireScope } from '../authentication.ts';
import { onlyMethods } from '../methods.ts';
import { strictQuery } from '../strict-query.ts';

export function webhookEndpointsRouter({ authenticator, database, sealer }: ApiContext): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/default')
    .get(requireScope(authenticator, 'webhooks:read'), async (request, response) => {
      strictQuery(request, []);
      response.json({
        id: 'default',
        object: 'webhook_endpoint',
        secret: await webhookSecretOf(database, sealer, callerOf(response).tenantId),
      });
    })
    .all(onlyMethods('GET'));
  return router;
}

/** `/admin/v1/providers`: what is configured, how it is, and switching it on and off while the processes run. */

import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { nearestHint } from '@waybill/shared/domain/strict-object.ts';
import { credentialId } from '@waybill/shared/security/credential-id.ts';
import { readCredentials } from '@waybill/shared/store/credentials.ts';
import { readHealth } from '@waybill/shared/store/health.ts';
import { readSwitches, switchProvider } from '@waybill/shared/store/provider-switches.ts';
import { type Request, type Response, Router } from 'express';
import type { ApiContext } from '../../api-context.ts';
import { callerOf, requireScope } from '../../authentication.ts';
import { onlyMethods } from '../../methods.ts';
import { strictQuery } from '../../strict-query.ts';
import { partsOfScope, providerJson, type SeenOfProviders } from './provider-json.ts';

export function adminProvidersRouter(context: ApiContext): Router {
  const router = Router({ caseSensitive: true });
  const admin = requireScope(context.authenticator, 'admin');
  router
    .route('/')
    .get(admin, async (request, response) => {
      strictQuery(request, []);
      const settings = context.settings();
      const seen = await readSeen(context);
      response.json({
        object: 'list',
        data: Object.values(settings.providers).map((provider) => providerJson(provider, settings, seen)),
      });
    })
    .all(onlyMethods('GET'));
  router
    .route('/:id')
    .get(admin, async (request, response) => {
      strictQuery(request, []);
      await answer(response, namedIn(request, context), context);
    })
    .all(onlyMethods('GET'));
  const change = (path: string, apply: (id: string, by: string) => Promise<void>) =>
    router
      .route(`/:id/${path}`)
      .post(admin, async (request, response) => {
        strictQuery(request, []);
        const provider = namedIn(request, context);
        await apply(provider.id, callerOf(response).keyId);
        // What was just changed here must be seen here; the others hear of it, or read it within a second.
        context.fleet.forget();
        context.coordination.publish({ type: 'configuration_changed', version: context.settings().version });
        context.logger.info({ provider: provider.id, change: path, by: callerOf(response).keyId }, 'provider switched');
        await answer(response, provider, context);
      })
      .all(onlyMethods('POST'));
  change('enable', (id, by) => switchProvider(context.database, id, true, by));
  change('disable', (id, by) => switchProvider(context.database, id, false, by));
  change('reset', async (id, by) => {
    await switchProvider(context.database, id, null, by);
    await endPauses(id, context);
  });
  return router;
}

async function endPauses(id: string, { coordination }: ApiContext): Promise<void> {
  const { pauses } = await coordination.fleetState();
  for (const scope of pauses.keys()) if (partsOfScope(scope, id)) await coordination.resume(scope);
}

/** Read afresh: an operator who has just changed something looks whether it holds. */
async function readSeen({ database, coordination, sealer }: ApiContext): Promise<SeenOfProviders> {
  const [switches, { pauses }, health, stored] = await Promise.all([
    readSwitches(database),
    coordination.fleetState(),
    readHealth(database),
    readCredentials(database, sealer),
  ]);
  const storedIds = new Map([...stored].map(([name, secret]) => [name, credentialId(name, secret)]));
  return { switches, pauses, health, storedIds, nowMs: Date.now() };
}

async function answer(response: Response, provider: ProviderSettings, context: ApiContext): Promise<void> {
  response.json(providerJson(provider, context.settings(), await readSeen(context)));
}

/** The name comes from outside: `constructor` is no provider. */
function namedIn(request: Request, { settings }: ApiContext): ProviderSettings {
  const id = String(request.params.id);
  const { providers } = settings();
  const provider = Object.hasOwn(providers, id) ? providers[id] : undefined;
  if (provider) return provider;
  const ids = Object.keys(providers);
  const known = ids.length === 0 ? 'none is configured' : `configured are ${ids.slice(0, 12).join(', ')}`;
  throw new Problem(
    'not_found',
    `Cannot find the provider "${id.slice(0, 64)}"${nearestHint(id, ids) || `; ${known}`}`,
    { param: 'id' },
  );
}

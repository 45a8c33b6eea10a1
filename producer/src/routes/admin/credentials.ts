/**
 * `/admin/v1/credentials`: secrets of providers that the server keeps, sealed under the master key.
 *
 * A secret goes in and never comes out: not in an answer, not in an error, not in the log.
 */
import { credentialNameSchema } from '@waybill/shared/config/schema.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { nearestHint } from '@waybill/shared/domain/strict-object.ts';
import { listCredentials, removeCredential, storeCredential } from '@waybill/shared/store/credentials.ts';
import { type Request, Router } from 'express';
import type { ApiContext } from '../../api-context.ts';
import { callerOf, requireScope } from '../../authentication.ts';
import { onlyMethods } from '../../methods.ts';
import { jsonBody, readBody } from '../../read-body.ts';
import { strictQuery } from '../../strict-query.ts';
import { secretOf } from './secret-body.ts';

export interface CredentialJson {
  readonly object: 'credential';
  readonly name: string;
  /** null: the configuration names it, and nobody has stored it yet. */
  readonly updated_at: string | null;
  readonly used_by: readonly { readonly provider: string; readonly account: string }[];
}

export function adminCredentialsRouter(context: ApiContext): Router {
  const { authenticator, database, sealer } = context;
  const router = Router({ caseSensitive: true });
  const admin = requireScope(authenticator, 'admin');
  router
    .route('/')
    .get(admin, async (request, response) => {
      strictQuery(request, []);
      response.json({ object: 'list', data: listed(await listCredentials(database), context.settings()) });
    })
    .all(onlyMethods('GET'));
  router
    .route('/:name')
    .put(admin, readBody, async (request, response) => {
      strictQuery(request, []);
      const name = nameOf(request);
      await storeCredential(database, sealer, name, secretOf(jsonBody(request)));
      tell(context, name, 'stored', callerOf(response).keyId);
      const row = (await listCredentials(database)).find((each) => each.name === name);
      response.json(credentialJson(name, row?.updatedAt ?? null, context.settings()));
    })
    .delete(admin, async (request, response) => {
      strictQuery(request, []);
      const name = nameOf(request);
      if (!(await removeCredential(database, name))) {
        const names = (await listCredentials(database)).map((each) => each.name);
        throw new Problem(
          'not_found',
          `Cannot remove the credential "${name}": none of that name is stored${nearestHint(name, names)}`,
          { param: 'name' },
        );
      }
      tell(context, name, 'removed', callerOf(response).keyId);
      response.json({ ...credentialJson(name, null, context.settings()), deleted: true });
    })
    .all(onlyMethods('DELETE', 'PUT'));
  return router;
}

function tell({ coordination, fleet, settings, logger }: ApiContext, name: string, change: string, by: string): void {
  fleet.forget();
  coordination.publish({ type: 'configuration_changed', version: settings().version });
  logger.info({ credential: name, change, by }, 'credential changed');
}

function nameOf(request: Request): string {
  const parsed = credentialNameSchema.safeParse(String(request.params.name));
  if (parsed.success) return parsed.data;
  // Not quoted: somebody may have put the secret where the name goes.
  throw new Problem('invalid_value', `Cannot use this name: ${parsed.error.issues[0]?.message ?? 'it is malformed'}`, {
    param: 'name',
  });
}

const credentialJson = (name: string, updatedAt: Date | null, settings: Settings): CredentialJson => ({
  object: 'credential',
  name,
  updated_at: updatedAt?.toISOString() ?? null,
  used_by: Object.values(settings.providers).flatMap(({ id, credentials }) =>
    credentials
      .filter((each) => each.source.kind === 'stored' && each.name === name)
      .map(({ account }) => ({ provider: id, account })),
  ),
});

/** Those that are stored, and those that the configuration names and that are not. */
function listed(rows: readonly { name: string; updatedAt: Date }[], settings: Settings): CredentialJson[] {
  const updatedAt = new Map(rows.map((row) => [row.name, row.updatedAt]));
  const named = Object.values(settings.providers).flatMap(({ credentials }) =>
    credentials.filter(({ source }) => source.kind === 'stored').map(({ name }) => name),
  );
  return [...new Set([...updatedAt.keys(), ...named])]
    .toSorted()
    .map((name) => credentialJson(name, updatedAt.get(name) ?? null, settings));
}

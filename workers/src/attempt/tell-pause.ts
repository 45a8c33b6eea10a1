/** A credential that was refused is an event somebody must act on, and so is the last one of a provider. */
import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import type { Failure, FailureKind } from '@waybill/shared/domain/failure.ts';
import { openPlaces } from '@waybill/shared/routing/pauses.ts';
import { noteEvent } from '@waybill/shared/store/events.ts';
import type { Credential } from '../credentials.ts';
import type { WorkerContext } from '../worker-context.ts';

export interface NewPause {
  readonly scope: string;
  readonly target: string;
  readonly failed: Failure;
  readonly credential: Credential | null;
  readonly provider: ProviderSettings;
  readonly untilMs: number;
}

/** Kinds that do not end by themselves: somebody must pay, or replace the credential. */
const deadly: ReadonlySet<FailureKind> = new Set(['auth', 'billing']);

export async function tellPause(pause: NewPause, context: WorkerContext): Promise<void> {
  const { scope, target, failed, credential, provider, untilMs } = pause;
  const { database, fleet, credentials, logger, now } = context;
  const data = {
    provider: provider.id,
    target,
    credential: credential?.name ?? null,
    account: credential?.account ?? null,
    failure: failed.kind,
    until: new Date(untilMs).toISOString(),
  };
  if (deadly.has(failed.kind)) {
    logger.error(data, 'a credential is refused: replace it, or see to its account');
    await noteEvent(database, { id: `credential.dead ${scope} ${untilMs}`, type: 'credential.dead', data });
  }
  const open = openPlaces(provider, target, credentials.of(provider), (await fleet.read()).pauses, now());
  if (open.closedBy !== 'credentials') return;
  logger.error(data, 'no credential of the provider may be used');
  await noteEvent(database, {
    id: `credentials.exhausted ${provider.id} ${open.closedUntilMs ?? untilMs}`,
    type: 'credentials.exhausted',
    data,
  });
}

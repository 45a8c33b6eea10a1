/** A server that fell ill or is well again: the fleet leaves it alone, or comes back. The event was noted with the change. */
import type { ProviderSettings, Settings } from '@waybill/shared/config/settings.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import type { FleetView } from '@waybill/shared/coordination/fleet-view.ts';
import type { Health, HealthChange } from '@waybill/shared/routing/health.ts';
import { pauseScopeKey } from '@waybill/shared/routing/pauses.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import type { EndpointName } from '@waybill/shared/store/health.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';

/** What the parts of this folder share; less than a worker's whole context, which holds one of them. */
export interface HealthContext {
  readonly database: Database;
  readonly coordination: Coordination;
  readonly fleet: FleetView;
  readonly settings: () => Settings;
  readonly logger: Logger;
  readonly now: () => number;
}

export interface SeenChange {
  readonly name: EndpointName;
  readonly provider: ProviderSettings;
  readonly health: Health;
  readonly change: HealthChange;
  /** Jobs go elsewhere while it is ill. */
  readonly leaveAlone: boolean;
}

/** How many looks at it an ill server is left alone for; the next look renews it, or ends it. */
const looks = 3;

export async function tellChange(
  { name, provider, health, change, leaveAlone }: SeenChange,
  { coordination, fleet, settings, logger, now }: HealthContext,
): Promise<void> {
  const scope = pauseScopeKey('endpoint', {
    target: `${name.provider}/`,
    account: '',
    credentialId: null,
    endpoint: name.endpoint,
  });
  if (health.status === 'unhealthy' && leaveAlone)
    await coordination.pause(scope, 'unhealthy', now() + looks * provider.health.everyMs);
  else if (change === 'recovered') await coordination.resume(scope);
  if (change === null) return;
  fleet.forget();
  // Jobs that wait for it are looked at anew.
  if (change === 'recovered') coordination.publish({ type: 'configuration_changed', version: settings().version });
  if (change === 'unhealthy') logger.error({ ...name, last_failure: health.lastFailure }, 'a provider is unhealthy');
  else logger.info(name, 'a provider has recovered');
}

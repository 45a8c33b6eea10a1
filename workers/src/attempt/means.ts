/** With what a job is called: a permit at a place, and a credential of its account. */
import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import { type OpenPlaces, openPlaces } from '@waybill/shared/routing/pauses.ts';
import type { EndpointName } from '@waybill/shared/store/health.ts';
import type { Credential } from '../credentials.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { Permit } from './permit.ts';

export interface Means {
  readonly permit: Permit;
  /** null: the server asks for none. */
  readonly credential: Credential | null;
  readonly provider: ProviderSettings;
}

/** Which of the provider's addresses it is. */
export const endpointName = ({ provider, permit }: Pick<Means, 'provider' | 'permit'>): EndpointName => ({
  provider: provider.id,
  endpoint: provider.endpoints.findIndex(({ url }) => url === permit.place.endpoint) + 1,
});

export async function openNow(target: string, provider: ProviderSettings, context: WorkerContext): Promise<OpenPlaces> {
  const { pauses } = await context.fleet.read();
  return openPlaces(provider, target, context.credentials.of(provider), pauses, context.now());
}

/** One of the account's that may be used, by chance: none is worn out before the others. */
export function pickCredential(
  provider: ProviderSettings,
  account: string,
  open: OpenPlaces,
  { credentials, random }: WorkerContext,
): Credential | null {
  const usable = new Set(open.credentials.map(({ id }) => id));
  const own = credentials.of(provider).filter((each) => each.account === account && usable.has(each.id));
  return own[Math.floor(random() * own.length)] ?? null;
}

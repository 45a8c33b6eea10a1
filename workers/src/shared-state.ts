/** What the fleet knows now, with the credentials this process has read. */
import type { SharedState } from '@waybill/shared/routing/target-facts.ts';
import type { WorkerContext } from './worker-context.ts';

export async function sharedState({
  fleet,
  credentials,
}: Pick<WorkerContext, 'fleet' | 'credentials'>): Promise<SharedState> {
  const { pauses, breakers, switches, windows } = await fleet.read();
  return { pauses, breakers, switches, windows, credentialsOf: (provider) => credentials.of(provider) };
}

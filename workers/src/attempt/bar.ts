/**
 * The last look before a call: does the request hold what must not go to this target?
 *
 * It was looked at when it was accepted, and the claim has compared its labels. The detectors may have been configured
 * since then, and the conversation that it goes on may hold more; so it is looked at again before every attempt. What
 * cannot be looked at counts as found.
 */
import type { PrivacySettings, ProviderSettings } from '@waybill/shared/config/settings.ts';
import { detectIn, requiredLabels } from '@waybill/shared/privacy/detect.ts';
import type { DetectorKind } from '@waybill/shared/privacy/detectors.ts';
import { storedBody } from '@waybill/shared/routing/request-needs.ts';
import { audit } from '@waybill/shared/store/audit.ts';
import type { Claim } from '@waybill/shared/store/claim.ts';
import type { PastTurn } from '@waybill/shared/store/conversations.ts';
import type { WorkerContext } from '../worker-context.ts';

/** What the job requires from now on, and the kinds of what was found. */
export interface Bar {
  readonly require: readonly string[];
  readonly detected: readonly DetectorKind[];
}

/** null: the target may have it. */
export async function findBar(
  { job, request }: Extract<Claim, { kind: 'claimed' }>,
  turns: readonly PastTurn[],
  provider: ProviderSettings,
  context: WorkerContext,
): Promise<Bar | null> {
  const { privacy } = context.settings();
  const isMissing = (label: string): boolean => !provider.labels.includes(label);
  // What was said under a label stays under it.
  const inherited = [...new Set(turns.flatMap((turn) => turn.require))];
  const detected = privacy.require.some(isMissing)
    ? kindsInAll(job.endpoint, [request, ...textsOf(turns)], privacy)
    : [];
  const labels = [...inherited, ...requiredLabels(detected, privacy)];
  const missing = labels.filter(isMissing);
  if (missing.length === 0) return null;
  const detail = { target: job.target, detected, missing };
  await audit(context.database, [
    { actor: 'waybill', action: 'privacy.barred', tenantId: job.tenant_id, jobId: job.id, detail },
  ]);
  return { require: [...new Set([...job.require, ...labels])], detected };
}

const textsOf = (turns: readonly PastTurn[]): string[] => turns.flatMap(({ request, output }) => [request, output]);

function kindsInAll(endpoint: string, texts: readonly string[], privacy: PrivacySettings): DetectorKind[] {
  if (privacy.detect.length === 0) return [];
  return [...new Set(texts.flatMap((text) => kindsIn(endpoint, text, privacy)))].toSorted();
}

function kindsIn(endpoint: string, text: string, { detect, unreadFiles }: PrivacySettings): readonly DetectorKind[] {
  try {
    return detectIn(storedBody(endpoint, text), detect, unreadFiles);
  } catch {
    return detect;
  }
}

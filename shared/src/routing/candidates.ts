/**
 * Which targets may serve a job, and why the others may not. Pure: what is known comes in as values.
 *
 * An unknown capability or context window passes; a missing label never does.
 */
import type { Capability } from '../chat/capabilities.ts';
import { splitTarget } from '../domain/job.ts';

export interface TargetFacts {
  readonly isConfigured: boolean;
  readonly isEnabled: boolean;
  readonly labels: readonly string[];
  /** null: unknown. */
  readonly capabilities: readonly Capability[] | null;
  readonly lacks: readonly Capability[];
  readonly contextWindow: number | null;
  /** Skipped until then (`pause_*`, `disable_model`); null: not paused. */
  readonly pausedUntilMs: number | null;
}

export interface JobNeeds {
  readonly capabilities: readonly Capability[];
  readonly estimatedTokens: number;
  readonly require: readonly string[];
  readonly excludeProviders: readonly string[];
}

export type SkipReason =
  | 'not_configured'
  | 'disabled'
  | 'label'
  | 'excluded'
  | 'capability'
  | 'context_window'
  | 'paused';

export type Candidate =
  | { readonly target: string; readonly kind: 'eligible' }
  | {
      readonly target: string;
      readonly kind: 'skipped';
      readonly reason: SkipReason;
      readonly detail: string;
      readonly untilMs: number | null;
    };

export function candidates(
  targets: readonly string[],
  needs: JobNeeds,
  factsOf: (target: string) => TargetFacts,
  nowMs: number,
): Candidate[] {
  return targets.map((target) => {
    const skip = skipReason(target, needs, factsOf(target), nowMs);
    return skip === null ? { target, kind: 'eligible' } : { target, kind: 'skipped', ...skip };
  });
}

type Skip = { reason: SkipReason; detail: string; untilMs: number | null };
const skipped = (reason: SkipReason, detail: string, untilMs: number | null = null): Skip => ({
  reason,
  detail,
  untilMs,
});

function skipReason(target: string, needs: JobNeeds, facts: TargetFacts, nowMs: number): Skip | null {
  const { provider } = splitTarget(target);
  if (!facts.isConfigured) return skipped('not_configured', `no provider "${provider}"`);
  if (!facts.isEnabled) return skipped('disabled', `provider "${provider}" is disabled`);
  const missingLabel = needs.require.find((label) => !facts.labels.includes(label));
  if (missingLabel !== undefined) return skipped('label', `lacks the label "${missingLabel}"`);
  if (needs.excludeProviders.includes(provider))
    return skipped('excluded', `provider "${provider}" is excluded by the job`);
  const missing = needs.capabilities.find(
    (capability) => facts.lacks.includes(capability) || facts.capabilities?.includes(capability) === false,
  );
  if (missing !== undefined) return skipped('capability', `cannot do "${missing}"`);
  if (facts.contextWindow !== null && needs.estimatedTokens > facts.contextWindow) {
    return skipped('context_window', `about ${needs.estimatedTokens} tokens do not fit into ${facts.contextWindow}`);
  }
  if (facts.pausedUntilMs !== null && facts.pausedUntilMs > nowMs)
    return skipped('paused', 'paused after a failure', facts.pausedUntilMs);
  return null;
}

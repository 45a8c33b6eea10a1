/**
 * Which targets may serve a job, and why the others may not. Pure: what is known comes in as values.
 *
 * An unknown capability or context window passes; a missing label never does.
 */
import type { Capability } from '../chat/capabilities.ts';
import { splitTarget } from '../domain/job.ts';
import { amountOf, type CallSize, exceededBy, type RateLimit, type RateUnit } from './limits.ts';

export interface TargetFacts {
  readonly isConfigured: boolean;
  readonly isEnabled: boolean;
  readonly labels: readonly string[];
  /** null: unknown. */
  readonly capabilities: readonly Capability[] | null;
  readonly lacks: readonly Capability[];
  readonly contextWindow: number | null;
  /** Of each of its accounts. */
  readonly limits: readonly RateLimit[];
  /** No call, or no more than the one that finds out whether it is well again. */
  readonly breaker: { readonly kind: 'open'; readonly untilMs: number | null } | { readonly kind: 'half_open' } | null;
  /** No place to call it at; `untilMs` null: until somebody does something. null: open. */
  readonly closed: { readonly why: ClosedWhy; readonly untilMs: number | null } | null;
}

export interface JobNeeds {
  readonly capabilities: readonly Capability[];
  /** What must fit into the context window at once; 0: nothing that is known. */
  readonly windowTokens: number;
  readonly size: CallSize;
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
  | 'exceeds_limit'
  | 'breaker'
  | ClosedWhy;

/** `limited`: nothing but limits, which end by themselves. */
export type ClosedWhy = 'paused' | 'limited' | 'credentials_exhausted';

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
): Candidate[] {
  return targets.map((target) => {
    const skip = skipReason(target, needs, factsOf(target));
    return skip === null ? { target, kind: 'eligible' } : { target, kind: 'skipped', ...skip };
  });
}

const closedDetail: Readonly<Record<ClosedWhy, string>> = {
  paused: 'paused after a failure',
  limited: 'at its limit',
  credentials_exhausted: 'no credential may be used',
};

const unitWords: Readonly<Record<RateUnit, string>> = {
  requests: 'requests',
  tokens: 'tokens',
  input: 'input tokens',
  output: 'output tokens',
};

const endOf = ({ untilMs }: Skip): number => untilMs ?? Number.MAX_SAFE_INTEGER;

type Skip = { reason: SkipReason; detail: string; untilMs: number | null };
const skipped = (reason: SkipReason, detail: string, untilMs: number | null = null): Skip => ({
  reason,
  detail,
  untilMs,
});

function skipReason(target: string, needs: JobNeeds, facts: TargetFacts): Skip | null {
  const { provider } = splitTarget(target);
  if (!facts.isConfigured) return skipped('not_configured', `no provider "${provider}"`);
  if (!facts.isEnabled) return skipped('disabled', `provider "${provider}" is disabled`);
  const missingLabel = needs.require.find((label) => !facts.labels.includes(label));
  if (missingLabel !== undefined) return skipped('label', `lacks the label "${missingLabel}"`);
  if (needs.excludeProviders.includes(provider)) return skipped('excluded', `provider "${provider}" is excluded`);
  const missing = needs.capabilities.find(
    (capability) => facts.lacks.includes(capability) || facts.capabilities?.includes(capability) === false,
  );
  if (missing !== undefined) return skipped('capability', `cannot do "${missing}"`);
  if (facts.contextWindow !== null && needs.windowTokens > facts.contextWindow) {
    return skipped('context_window', `about ${needs.windowTokens} tokens do not fit into ${facts.contextWindow}`);
  }
  const exceeded = exceededBy(facts.limits, needs.size);
  if (exceeded !== null) {
    const detail = `about ${amountOf(exceeded.unit, needs.size)} ${unitWords[exceeded.unit]} exceed its limit of ${exceeded.limit} (${exceeded.name})`;
    return skipped('exceeds_limit', detail);
  }
  const { closed, breaker } = facts;
  const both = [
    ...(closed === null ? [] : [skipped(closed.why, closedDetail[closed.why], closed.untilMs)]),
    ...(breaker?.kind === 'open' ? [skipped('breaker', 'its breaker is open', breaker.untilMs)] : []),
  ];
  // What ends last is what it waits for.
  return both.toSorted((a, b) => endOf(b) - endOf(a))[0] ?? null;
}

/** What a decision keeps of the targets that were left out: as many as fit, and never half of one. */
const longestSkippedText = 4_000;

/** What stands against targets, as JSON text; null: nothing. */
export function skippedJson(found: readonly Candidate[]): string | null {
  const parts: string[] = [];
  let length = 2;
  for (const candidate of found) {
    if (candidate.kind !== 'skipped') continue;
    const { target, reason, detail } = candidate;
    const part = JSON.stringify({ target, reason, detail });
    if (length + part.length + 1 > longestSkippedText) break;
    parts.push(part);
    length += part.length + 1;
  }
  return parts.length === 0 ? null : `[${parts.join(',')}]`;
}

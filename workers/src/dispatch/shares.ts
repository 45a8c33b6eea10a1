/** What one dispatcher remembers of its targets: the tenants' accounts, and what their jobs really use. */
import type { Charge } from '@waybill/shared/coordination/coordination.ts';
import { charge, freshShare, type ShareState } from '@waybill/shared/routing/fair-share.ts';
import { costFactor, fade, type LearnedCost, learn, nothingLearned } from '@waybill/shared/routing/learned-cost.ts';

/** Tenants of one target whose cost is remembered. */
const mostTenants = 2_000;
/** The name under which the sum over all tenants is kept; no tenant is called so. */
const everybody = '';

interface TargetShare {
  state: ShareState;
  readonly costs: Map<string, LearnedCost>;
}

export interface Shares {
  /** The targets that have work now: the others are forgotten. */
  keep(targets: ReadonlySet<string>, elapsedMs: number): void;
  /** What settles and entries of others told since the last round. */
  apply(charges: readonly Charge[]): void;
  state(target: string): ShareState;
  setState(target: string, state: ShareState): void;
  /** What an estimate is multiplied with. */
  factor(target: string, tenantId: string): number;
}

export function createShares(): Shares {
  const targets = new Map<string, TargetShare>();
  const of = (target: string): TargetShare => {
    const known = targets.get(target) ?? { state: freshShare, costs: new Map() };
    targets.set(target, known);
    return known;
  };
  const teach = (target: string, tenantId: string, lesson: Partial<LearnedCost>) => {
    const { costs } = of(target);
    if (costs.size >= mostTenants && !costs.has(tenantId)) costs.clear();
    for (const name of [tenantId, everybody]) costs.set(name, learn(costs.get(name) ?? nothingLearned, lesson));
  };
  const factor = (target: string, tenantId: string): number => {
    const { costs } = of(target);
    return costFactor(costs.get(tenantId) ?? nothingLearned, costs.get(everybody) ?? nothingLearned);
  };
  return {
    keep(working, elapsedMs) {
      for (const [target, share] of targets) {
        if (!working.has(target)) targets.delete(target);
        else for (const [name, cost] of share.costs) share.costs.set(name, fade(cost, elapsedMs));
      }
    },
    apply(charges) {
      for (const { target, tenantId, tokens, why } of charges) {
        // Of a target without work there is nothing to share.
        if (!targets.has(target)) continue;
        if (why !== 'added') teach(target, tenantId, { [why]: tokens });
        else of(target).state = charge(of(target).state, tenantId, tokens * factor(target, tenantId));
      }
    },
    state: (target) => of(target).state,
    setState(target, state) {
      of(target).state = state;
    },
    factor,
  };
}

/** Where a request may go, and where first: chain, class, tenant, privacy and strategy. Pure but for what is handed in. */
import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import type { ChainSettings, Settings, TenantSettings } from '@waybill/shared/config/settings.ts';
import { tenantSettings } from '@waybill/shared/config/tenant-settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { nearestHint } from '@waybill/shared/domain/strict-object.ts';
import { detectIn, requiredLabels } from '@waybill/shared/privacy/detect.ts';
import type { DetectorKind } from '@waybill/shared/privacy/detectors.ts';
import { type Candidate, candidates, type TargetFacts } from '@waybill/shared/routing/candidates.ts';
import { chainOfClass } from '@waybill/shared/routing/classify.ts';
import { type JobBody, type RequestNeeds, requestNeeds } from '@waybill/shared/routing/request-needs.ts';
import { orderTargets } from '@waybill/shared/routing/strategies.ts';
import { type SharedState, targetFacts } from '@waybill/shared/routing/target-facts.ts';
import { targetStats, type UsualState } from '@waybill/shared/routing/target-stats.ts';

export interface RouteInput {
  readonly tenantId: string;
  readonly settings: Settings;
  readonly state: SharedState & UsualState;
  /** Counts the jobs of this process, for `round_robin`. */
  readonly turn: number;
  readonly nowMs: number;
  /** From [0, 1), anew each time. */
  readonly random: () => number;
}

/** What is asked of a route. */
export interface Wish {
  readonly body: JobBody;
  /** A chain, a class of chains, or a target. */
  readonly model: string;
  readonly require: readonly string[];
  readonly excludeProviders: readonly string[];
  /** Tokens of its conversation so far. */
  readonly historyTokens: number;
}

export interface Route {
  readonly chain: ChainSettings;
  /** Of the configuration; null: the request named a target. */
  readonly chainName: string | null;
  readonly needs: RequestNeeds;
  /** Estimated, of the request alone: without a history. */
  readonly ownTokens: number;
  /** The job's own labels, its tenant's, and those of what was found in it. */
  readonly require: readonly string[];
  readonly excludeProviders: readonly string[];
  readonly detected: readonly DetectorKind[];
  /** Of the whole chain, in the order to try. */
  readonly candidates: readonly Candidate[];
}

/** @throws Problem `no_provider_configured model_not_found` */
export function findRoute(wish: Wish, input: RouteInput): Route {
  const { settings, state, nowMs, turn } = input;
  const own = requestNeeds(wish.body);
  const tenant = tenantSettings(settings, input.tenantId);
  const asking = { tenant, body: wish.body, needs: withHistory(own, wish.historyTokens) };
  const { chain, name } = chainFor(wish.model, settings, asking);
  const factsOf = targetFacts(settings, state, nowMs);
  const needs = withHistory(own, Math.min(wish.historyTokens, historyRoom(chain.targets, own, factsOf)));
  const { detect, unreadFiles } = settings.privacy;
  const detected = detect.length === 0 ? [] : detectIn(wish.body, detect, unreadFiles);
  const require = [...new Set([...wish.require, ...tenant.require, ...requiredLabels(detected, settings.privacy)])];
  const excludeProviders = [...new Set([...wish.excludeProviders, ...tenant.excludeProviders])];
  const size = { inputTokens: needs.inputTokens, outputTokens: needs.outputTokens };
  const ordered = orderTargets(chain, targetStats(settings, state, size, nowMs), turn, input.random);
  const asked = {
    capabilities: needs.capabilities,
    windowTokens: needs.windowTokens,
    size,
    // Not kept with the job: the switch holds as it is when the job is called.
    require: settings.privacy.isCloudOn ? require : [...new Set([...require, 'local'])],
    excludeProviders,
  };
  const found = candidates(ordered, asked, factsOf);
  return {
    chain,
    chainName: name,
    needs,
    ownTokens: own.estimatedTokens,
    require,
    excludeProviders,
    detected,
    candidates: found,
  };
}

/** The history is trimmed to the window of its target: no more of it is sent, or paid for, than fits the largest. */
const historyRoom = (targets: readonly string[], own: RequestNeeds, factsOf: (target: string) => TargetFacts): number =>
  Math.max(
    0,
    ...targets.map((target) => (factsOf(target).contextWindow ?? Number.POSITIVE_INFINITY) - own.windowTokens),
  );

/** It counts for what a call uses, and not for whether the request fits. */
const withHistory = (needs: RequestNeeds, tokens: number): RequestNeeds => ({
  ...needs,
  inputTokens: needs.inputTokens + tokens,
  inputBound: needs.inputBound + 4 * tokens,
  estimatedTokens: needs.estimatedTokens + tokens,
});

/** No model has a space, a control character or half a surrogate pair in its name; the database takes no NUL. */
const targetForm = /^[^/]+\/[^\s\p{Cc}\p{Cs}]+$/u;

/** What a classifier decides by. */
interface Asked {
  readonly tenant: TenantSettings;
  readonly body: JobBody;
  readonly needs: RequestNeeds;
}

interface FoundChain {
  readonly chain: ChainSettings;
  /** null: a target. */
  readonly name: string | null;
}

/** A model names a chain, a class of chains, or a target of a configured provider. */
function chainFor(model: string, settings: Settings, { tenant, body, needs }: Asked): FoundChain {
  checkModel(model, settings);
  const wanted = model === 'default' && tenant.chain !== null ? tenant.chain : model;
  // The names come from outside: `constructor` and `__proto__` are no chains.
  const classifier = Object.hasOwn(settings.classifiers, wanted) ? settings.classifiers[wanted] : undefined;
  const name = classifier ? chainOfClass(classifier, body, needs) : wanted;
  const chain = Object.hasOwn(settings.chains, name) ? settings.chains[name] : undefined;
  return chain ? { chain, name } : { chain: chainOfTarget(model), name: null };
}

/** @throws Problem `no_provider_configured model_not_found` */
export function checkModel(model: string, settings: Settings): void {
  if (!Object.values(settings.providers).some((provider) => provider.enabled)) {
    throw new Problem(
      'no_provider_configured',
      'Cannot accept jobs: no provider is configured. Set a credential such as OPENAI_API_KEY, or start Ollama, and restart; `npm run waybill -- up` names what it found',
    );
  }
  const names = [...Object.keys(settings.chains), ...Object.keys(settings.classifiers)];
  if (names.includes(model)) return;
  const { provider } = splitTarget(model);
  if (targetForm.test(model) && Object.hasOwn(settings.providers, provider)) return;
  const known = [...names, ...Object.keys(settings.providers).map((id) => `${id}/<model>`)];
  throw new Problem(
    'model_not_found',
    `Cannot route the job: "${model.slice(0, 100)}" names no chain and no target. Known: ${known.slice(0, 12).join(', ')}${nearestHint(model, names)}`,
    { param: 'body.model' },
  );
}

/** Targets that can never serve this job leave its chain; those that cannot serve it now stay. */
const neverServes: ReadonlySet<string> = new Set([
  'capability',
  'context_window',
  'label',
  'excluded',
  'exceeds_limit',
]);

export interface Start {
  /** Those that may serve the job some time, in the order to try. */
  readonly targets: string[];
  readonly target: string;
}

/** @throws Problem `no_eligible_target` */
export function startOf({ chain, candidates: found }: Pick<Route, 'chain' | 'candidates'>): Start {
  const usable = found.filter((candidate) => candidate.kind === 'eligible' || !neverServes.has(candidate.reason));
  const first = usable.find((candidate) => candidate.kind === 'eligible') ?? usable[0];
  if (!first)
    throw new Problem(
      'no_eligible_target',
      `Cannot route the job: no target of "${chain.name}" can serve it: ${reasons(found)}`,
      { param: 'body.model' },
    );
  return { targets: usable.map((candidate) => candidate.target), target: first.target };
}

const reasons = (found: readonly Candidate[]): string =>
  found
    .map((candidate) => `${candidate.target} ${candidate.kind === 'skipped' ? candidate.detail : ''}`.trim())
    .slice(0, 8)
    .join('; ');

/**
 * What a model of Anthropic takes, by its name: the vendor changes the rules with each generation.
 *
 * A name no rule knows is taken for the newest where a wrong guess costs a hint (sampling), and for able where it would
 * cost the whole target (forced tools, prefill): the provider's own refusal routes the job on.
 */
import { type Effort, effortChanged } from '../efforts.ts';

interface Model {
  readonly family: string;
  /** Major × 100 + minor: 4.6 is 406. */
  readonly edition: number;
}

/** `claude-haiku-4-5-20251001`, `claude-3-7-sonnet-latest`, `anthropic/claude-opus-4.6`; null: not a name we know. */
function modelOf(name: string): Model | null {
  if (/claude-(?:instant|2)/.test(name)) return { family: 'instant', edition: 200 };
  // Two digits are a version, eight are a date.
  const found =
    /claude-(?:(\d)(?:[.-](\d))?-)?(opus|sonnet|haiku|fable|mythos)(?:-(\d{1,2})(?!\d))?(?:[.-](\d{1,2})(?!\d))?/.exec(
      name,
    );
  if (!found) return null;
  const [, oldMajor, oldMinor, family = '', major = oldMajor, minor = oldMinor] = found;
  return major === undefined ? null : { family, edition: Number(major) * 100 + Number(minor ?? 0) };
}

/** Fable and its kin share rules. */
const isFable = ({ family }: Model): boolean => family === 'fable' || family === 'mythos';

/** From this version of the API on nobody takes `temperature`, `top_p` and `top_k`. */
const withoutSampling = '2026-10-21';

/** Models up to 4.6 take sampling parameters, under the older version of the API. */
export function takesSampling(name: string, apiVersion: string): boolean {
  if (apiVersion >= withoutSampling) return false;
  const model = modelOf(name);
  return model !== null && model.edition <= 406;
}

/**
 * Whether `tool_choice` may force a call. It is refused from 5.5 on (Fable: 5.1), and nobody has told yet of Haiku 5.5.
 */
export function takesForcedTools(name: string): 'yes' | 'no' | 'unverified' {
  const model = modelOf(name);
  if (!model) return 'yes';
  if (isFable(model)) return model.edition >= 501 ? 'no' : 'yes';
  if (model.edition < 505) return 'yes';
  return model.family === 'haiku' && model.edition === 505 ? 'unverified' : 'no';
}

/** Whether a conversation may end with the beginning of the answer. */
export function takesPrefill(name: string): boolean {
  const model = modelOf(name);
  return model === null || model.edition <= 405;
}

/** Whether instructions may stand inside the conversation, under a role of their own. */
export function takesLaterSystem(name: string): boolean {
  const model = modelOf(name);
  if (!model) return false;
  return isFable(model) || (model.family === 'opus' && model.edition >= 408);
}

/** How much a model may think, in tokens, where it is told a budget, and what a default bound leaves for it elsewhere. */
const budgets = { minimal: 1_024, low: 1_024, medium: 4_096, high: 16_384, xhigh: 24_576, max: 24_576 } as const;
/** The vendor's smallest budget. */
const leastBudget = 1_024;

/** `max_tokens` is mandatory there; what we send when the caller set no bound. */
const defaultAnswer = 4_096;
/** Longer answers in one piece run into the vendor's ten minutes. */
const longestUnstreamed = 20_000;

/** Room for the answer and for the thinking that is counted with it. */
export function defaultMaxTokens(name: string, effort: Effort | null, stream: boolean): number {
  const model = modelOf(name);
  const thinksUnasked = model === null || model.edition >= 500;
  const thought = effort === 'none' ? 0 : budgets[effort ?? 'medium'];
  const room = defaultAnswer + (effort !== null || thinksUnasked ? thought : 0);
  return stream ? room : Math.min(room, longestUnstreamed);
}

/** What a request says of thinking; null: nothing. */
export interface Thinking {
  readonly thinking:
    | { readonly type: 'adaptive' | 'disabled' | 'between_tools' }
    | { readonly type: 'enabled'; readonly budget_tokens: number }
    | null;
  readonly effort: Exclude<Effort, 'none' | 'minimal'> | null;
  readonly warnings: readonly string[];
}

const unsaid: Thinking = { thinking: null, effort: null, warnings: [] };
const adaptiveFrom = 406;

/** @param maxTokens the bound that is sent: thinking counts towards it */
export function thinkingFor(name: string, effort: Effort | null, maxTokens: number): Thinking {
  if (effort === null) return unsaid;
  const model = modelOf(name);
  if (effort === 'none') return offSwitch(model);
  if (model !== null && model.edition < adaptiveFrom) return budgetFor(model, effort, maxTokens);
  return { ...unsaid, thinking: { type: 'adaptive' }, effort: effort === 'minimal' ? 'low' : effort };
}

function offSwitch(model: Model | null): Thinking {
  if (model !== null && model.edition < adaptiveFrom) return unsaid;
  if (model !== null && !isFable(model)) {
    if (model.edition < 505) return { ...unsaid, thinking: { type: 'disabled' } };
    if (model.edition === 505 && model.family === 'haiku') return { ...unsaid, thinking: { type: 'disabled' } };
    if (model.edition === 505 && model.family === 'sonnet') return { ...unsaid, thinking: { type: 'between_tools' } };
  }
  return {
    ...unsaid,
    effort: 'low',
    warnings: [effortChanged('"low"', 'this model cannot be kept from thinking')],
  };
}

function budgetFor({ edition }: Model, effort: Exclude<Effort, 'none'>, maxTokens: number): Thinking {
  if (edition < 307) return { ...unsaid, warnings: ['dropped "reasoning_effort": this model does not think'] };
  if (maxTokens <= leastBudget)
    return { ...unsaid, warnings: ['dropped "reasoning_effort": the bound on the answer leaves no room to think'] };
  // A fifth of a tight bound is kept for the answer itself.
  const most = Math.max(leastBudget, Math.floor(maxTokens * 0.8));
  return { ...unsaid, thinking: { type: 'enabled', budget_tokens: Math.min(budgets[effort], most) } };
}

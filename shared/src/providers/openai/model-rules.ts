/**
 * What OpenAI's own models take, told by their names: its list of models does not say.
 *
 * A name that is not understood (a new family, a name somebody gave to an Azure model) has no rules: OpenAI's refusal
 * then routes the job on.
 * @see https://platform.openai.com/docs/guides/reasoning
 */
import type { ChatRequest } from '../../chat/request.ts';
import type { Effort } from '../efforts.ts';

export interface ModelRules {
  /** null: not known. */
  readonly isReasoning: boolean | null;
  /** null: not known, or all. */
  readonly efforts: readonly Effort[] | null;
  /** Efforts that the Responses surface alone takes. */
  readonly effortsOnResponsesOnly: readonly Effort[];
  /** Sampling and log probabilities are taken when the effort is `none`. */
  readonly samplesWithoutEffort: boolean;
  /** Chat Completions refuses tools beside reasoning. */
  readonly reasonsWithToolsOnResponsesOnly: boolean;
  readonly isResponsesOnly: boolean;
  /** Takes `prompt_cache_breakpoint`. */
  readonly takesBreakpoints: boolean;
}

const noRules: ModelRules = {
  isReasoning: null,
  efforts: null,
  effortsOnResponsesOnly: [],
  samplesWithoutEffort: false,
  reasonsWithToolsOnResponsesOnly: false,
  isResponsesOnly: false,
  takesBreakpoints: false,
};

export function rulesOf(model: string): ModelRules {
  const name = model.toLowerCase().replace(/^ft:/, '');
  const isResponsesOnly = /^(?:gpt|o\d|codex)/.test(name) && /-pro(?:-|$)|(?:^|-)codex(?:-|$)|deep-research/.test(name);
  const version = versionOf(name);
  if (version === null) {
    const isReasoning = isResponsesOnly || namedReasoning(name);
    const efforts: readonly Effort[] | null = /^o\d/.test(name) ? ['low', 'medium', 'high'] : null;
    return { ...noRules, isReasoning, efforts, isResponsesOnly };
  }
  const isReasoning = version >= 5 && !/-chat(?:-|$)/.test(name);
  return {
    isReasoning,
    efforts: effortsOf(name, version),
    effortsOnResponsesOnly: /^gpt-6\.1-sol(?:-|$)/.test(name) ? ['max'] : [],
    samplesWithoutEffort: isReasoning && version >= 5.01,
    reasonsWithToolsOnResponsesOnly: isReasoning && version >= 5.04,
    isResponsesOnly,
    takesBreakpoints: version >= 5.06,
  };
}

/** `gpt-5.4-mini` is 5.04, so that 5.10 comes after 5.9; null: no version of GPT. */
function versionOf(name: string): number | null {
  const match = /^gpt-(\d{1,2})(?:\.(\d{1,2}))?(?=-|$)/.exec(name);
  const major = Number(match?.[1]);
  // Azure writes 3.5 as `gpt-35-turbo`.
  return match === null || major >= 30 ? null : major + Number(match[2] ?? 0) / 100;
}

function namedReasoning(name: string): boolean | null {
  if (/^o\d/.test(name)) return true;
  return /^(?:gpt-4|gpt-35|chatgpt)/.test(name) ? false : null;
}

function effortsOf(name: string, version: number): readonly Effort[] | null {
  if (version === 5) return ['minimal', 'low', 'medium', 'high'];
  if (/^gpt-6(?:-astra|\.1-sol)(?:-|$)/.test(name)) return ['low', 'medium', 'high', 'xhigh', 'max'];
  return null;
}

/** Whether a request must go to the Responses surface: the model has no other, or its tools need it. */
export function needsResponses(model: string, request: ChatRequest): boolean {
  const rules = rulesOf(model);
  if (rules.isResponsesOnly) return true;
  const hasTools = (request.tools ?? []).length > 0;
  if (!hasTools || !rules.reasonsWithToolsOnResponsesOnly) return false;
  const takesNone = rules.efforts === null || rules.efforts.includes('none');
  return request.reasoning_effort !== 'none' || !takesNone;
}

const neverWithReasoning = ['frequency_penalty', 'presence_penalty', 'logit_bias', 'top_logprobs'] as const;
const onlyWithoutEffort = ['temperature', 'top_p', 'logprobs'] as const;
const onlyWithReasoning = ['reasoning_effort', 'verbosity'] as const;

/** The fields a model refuses: one of them would fail the whole call. */
export function refusedFields(model: string, effort: Effort | null): readonly string[] {
  const { isReasoning, samplesWithoutEffort } = rulesOf(model);
  if (isReasoning === null) return [];
  if (!isReasoning) return onlyWithReasoning;
  return samplesWithoutEffort && effort === 'none' ? neverWithReasoning : [...neverWithReasoning, ...onlyWithoutEffort];
}

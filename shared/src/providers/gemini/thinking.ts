/** Reasoning effort -> `thinkingConfig`: levels from generation 3 on, a budget of tokens in 2.5, nothing before. */
import type { ChatRequest } from '../../chat/request.ts';
import { type Effort, effortChanged, effortFor } from '../efforts.ts';
import type { Quirks } from '../quirks.ts';
import { bareModel, versionOf } from './model-version.ts';

const levels: Readonly<Record<Effort, 'MINIMAL' | 'LOW' | 'MEDIUM' | 'HIGH'>> = {
  none: 'MINIMAL',
  minimal: 'MINIMAL',
  low: 'LOW',
  medium: 'MEDIUM',
  high: 'HIGH',
  xhigh: 'HIGH',
  max: 'HIGH',
};

/** In tokens, within the bounds of every 2.5 model. */
const budgets: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 512,
  low: 1_024,
  medium: 8_192,
  high: 24_576,
  xhigh: 24_576,
  max: 24_576,
};
/** Pro models always think: 2.5 with so many tokens at least, later ones at the level LOW. */
const leastProBudget = 128;
const isPro = (model: string): boolean => /-pro(?:-|$)/.test(model);

export interface Thinking {
  readonly config: Readonly<Record<string, unknown>> | null;
  readonly warnings: readonly string[];
}

export function toThinking(asked: ChatRequest['reasoning_effort'], model: string, quirks: Quirks): Thinking {
  const { effort, warnings: moved } = effortFor(asked, quirks);
  if (effort === null) return { config: null, warnings: moved };
  const version = versionOf(model);
  if (version < 2.5) return { config: null, warnings: ['dropped "reasoning_effort": this model does not take it'] };
  const told = version < 3 ? toBudget(effort, bareModel(model)) : toLevel(effort, bareModel(model));
  return { config: told.config, warnings: [...moved, ...told.warnings] };
}

function toLevel(effort: Effort, model: string): Thinking {
  const least = levels[effort] === 'MINIMAL' && isPro(model);
  const level = least ? 'LOW' : levels[effort];
  return {
    config: { thinkingLevel: level, includeThoughts: true },
    warnings: level.toLowerCase() === effort ? [] : [effortChanged(`"${level.toLowerCase()}"`)],
  };
}

function toBudget(effort: Effort, model: string): Thinking {
  if (effort === 'none')
    return isPro(model)
      ? {
          config: { thinkingBudget: leastProBudget },
          warnings: [effortChanged(`a budget of ${leastProBudget} tokens`)],
        }
      : { config: { thinkingBudget: 0 }, warnings: [] };
  const isBeyond = effort === 'xhigh' || effort === 'max';
  return {
    config: { thinkingBudget: budgets[effort], includeThoughts: true },
    warnings: isBeyond ? [effortChanged('"high"')] : [],
  };
}

/** Reasoning efforts: a target that knows fewer is given the nearest it knows. */
import type { ChatRequest } from '../chat/request.ts';
import type { Quirks } from './quirks.ts';

export type Effort = NonNullable<ChatRequest['reasoning_effort']>;

const ascending: readonly Effort[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'];

/** Of two that are as near, the higher: an answer that thought too little is worth less than its price. */
export function nearestEffort(effort: Effort, known: readonly Effort[] | null): Effort {
  if (known === null || known.includes(effort)) return effort;
  const wanted = ascending.indexOf(effort);
  const distanceTo = (each: Effort) => Math.abs(ascending.indexOf(each) - wanted);
  return [...known]
    .toSorted((a, b) => ascending.indexOf(b) - ascending.indexOf(a))
    .reduce((best, each) => (distanceTo(each) < distanceTo(best) ? each : best));
}

/** @param written what stands in its place, in the words of a reader */
export const effortChanged = (written: string, reason = 'the nearest this target takes'): string =>
  `wrote "reasoning_effort" as ${written}: ${reason}`;

/** The effort a request asks for, as far as the server is known to take it. */
export function effortFor(
  asked: ChatRequest['reasoning_effort'],
  quirks: Quirks,
): { readonly effort: Effort | null; readonly warnings: readonly string[] } {
  if (asked === null || asked === undefined) return { effort: null, warnings: [] };
  if (quirks.reasoningRequest === 'none')
    return { effort: null, warnings: ['dropped "reasoning_effort": this provider does not take it'] };
  const effort = nearestEffort(asked, quirks.efforts);
  return { effort, warnings: effort === asked ? [] : [effortChanged(`"${effort}"`)] };
}

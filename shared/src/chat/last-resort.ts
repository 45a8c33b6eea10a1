/** What a chain says when no target answered: a chat completion that says whose words it holds. */
import { emptyAnswer, toChatCompletion } from './response.ts';

/** The name in the place of a target. */
export const lastResortName = 'waybill/last_resort';

export const lastResortCompletion = (content: string, context: { jobId: string; createdAtMs: number }) =>
  toChatCompletion({ ...emptyAnswer, text: content }, { ...context, target: lastResortName });

/** The last look before a call: what goes along with it, and whether it is made at all. */
import type { ChainSettings } from '@waybill/shared/config/settings.ts';
import { isExhausted } from '@waybill/shared/routing/decide.ts';
import { targetFacts } from '@waybill/shared/routing/target-facts.ts';
import { type PastTurn, readTurns } from '@waybill/shared/store/conversations.ts';
import { sharedState } from '../shared-state.ts';
import type { WorkerContext } from '../worker-context.ts';
import { type Bar, findBar } from './bar.ts';
import type { Means } from './means.ts';
import { isTooLate } from './permit.ts';
import type { Claimed } from './permit-and-claim.ts';

const nothingSeen = { turns: [], windowTokens: null, barred: null };

export interface LastLook {
  readonly turns: readonly PastTurn[];
  /** Of the target; null: unknown, or nobody asks. */
  readonly windowTokens: number | null;
  readonly barred: Bar | null;
  /** Why it is not called after all; null: it is. */
  readonly why: 'too_late' | 'barred' | 'exhausted' | 'unread' | null;
}

/** What is not known must not be sent: without the turns of its conversation, or a look at them, the job comes again. */
export async function lookBeforeCall(
  claim: Claimed,
  { provider, permit }: Means,
  { maxAttempts }: ChainSettings,
  context: WorkerContext,
): Promise<LastLook> {
  if (isExhausted(claim.history, maxAttempts)) return { ...nothingSeen, why: 'exhausted' };
  try {
    const turns = await readTurns(context.database, claim.job);
    const windowTokens = turns.length === 0 ? null : await windowOfTarget(permit.target, context);
    const barred = await findBar(claim, turns, provider, context);
    const why = barred !== null ? 'barred' : isTooLate(permit) ? 'too_late' : null;
    return { turns, windowTokens, barred, why };
  } catch (error) {
    context.logger.warn({ err: error, job_id: claim.job.id }, 'a job could not be looked at before its call');
    return { ...nothingSeen, why: 'unread' };
  }
}

async function windowOfTarget(target: string, context: WorkerContext): Promise<number | null> {
  return targetFacts(context.settings(), await sharedState(context), context.now())(target).contextWindow;
}

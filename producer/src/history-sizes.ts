/** What a conversation brings to its next turn: its tokens so far, and the labels that it was said under. */
import type { Database } from '@waybill/shared/store/database.ts';

export interface HistorySize {
  readonly tokens: number;
  /** Whoever is told of it must have these labels. */
  readonly require: readonly string[];
}

export const noHistory: HistorySize = { tokens: 0, require: [] };

/** More than any window: for targets whose window nobody knows. */
const mostTokens = 2_000_000;

/** What its next turn will find. @param ownTokens estimated, of this turn alone */
export const withTurn = ({ tokens }: HistorySize, ownTokens: number): number =>
  Math.min(mostTokens, tokens + ownTokens);

/** Read once for each conversation of a request. */
export function createHistorySizes(
  { kysely }: Pick<Database, 'kysely'>,
  tenantId: string,
): (conversation: string) => Promise<HistorySize> {
  const known = new Map<string, HistorySize>();
  return async (conversation) => {
    const seen = known.get(conversation);
    if (seen !== undefined) return seen;
    const row = await kysely
      .selectFrom('waybill.jobs')
      .select(['conversation_tokens', 'require'])
      .where('tenant_id', '=', tenantId)
      .where('conversation', '=', conversation)
      .where('status', 'in', ['queued', 'in_progress', 'awaiting_approval', 'succeeded'])
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    const size = row ? { tokens: row.conversation_tokens ?? 0, require: row.require } : noHistory;
    known.set(conversation, size);
    return size;
  };
}

/** How many tokens a conversation has so far, by what its latest turn was estimated with. */
import type { Database } from '@waybill/shared/store/database.ts';

/** More than any window: the history is trimmed. */
const mostTokens = 2_000_000;

/** Read once for each conversation of a request. */
export function createHistorySizes(
  { kysely }: Pick<Database, 'kysely'>,
  tenantId: string,
): (conversation: string) => Promise<number> {
  const known = new Map<string, number>();
  return async (conversation) => {
    const seen = known.get(conversation);
    if (seen !== undefined) return seen;
    const row = await kysely
      .selectFrom('waybill.jobs')
      .select('estimated_tokens')
      .where('tenant_id', '=', tenantId)
      .where('conversation', '=', conversation)
      .where('status', 'in', ['queued', 'in_progress', 'awaiting_approval', 'succeeded'])
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    const tokens = Math.min(mostTokens, row?.estimated_tokens ?? 0);
    known.set(conversation, tokens);
    return tokens;
  };
}

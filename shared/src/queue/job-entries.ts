/** Job rows -> entries on their providers' queues. Only who marked a row as dispatched calls this. */
import { entryId } from '../domain/ids.ts';
import type { Entry } from './entry.ts';
import type { QueueBackend, QueueItem } from './queue.ts';

export interface DispatchedRow {
  readonly id: string;
  readonly seq: number;
  readonly attempt: number;
  readonly tenant_id: string;
  readonly target: string;
  readonly provider: string;
  readonly chain: string | null;
  readonly priority: number;
  readonly estimated_tokens: number;
  readonly estimated_output: number;
  readonly traceparent: string | null;
}

/** @param reason why the entries exist, for Bull Board: `submitted`, `backlog`, `backoff`, `fallback: timeout` … */
export async function addJobEntries(
  queues: QueueBackend,
  rows: readonly DispatchedRow[],
  reason: string,
  delayMs = 0,
): Promise<void> {
  for (const [provider, group] of Map.groupBy(rows, (row) => row.provider)) {
    await queues.queue<Entry>(provider).add(group.map((row) => toItem(row, reason, delayMs)));
  }
}

function toItem(row: DispatchedRow, reason: string, delayMs: number): QueueItem<Entry> {
  return {
    id: entryId(row.id, row.seq),
    delayMs,
    priority: row.priority,
    data: {
      job: row.id,
      seq: row.seq,
      target: row.target,
      tenant: row.tenant_id,
      chain: row.chain,
      estimate: row.estimated_tokens,
      output: row.estimated_output,
      attempt: row.attempt + 1,
      reason,
      traceparent: row.traceparent,
    },
  };
}

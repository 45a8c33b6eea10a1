/** The work of `waybill events`: a page of them, or all as they come. */
import { setTimeout as sleep } from 'node:timers/promises';
import { UnreachableError } from '@waybill/producer/client/client.ts';
import type { EventJson } from '@waybill/producer/routes/events.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { ConnectionFlags } from '../connection.ts';
import { print, printJson, say, visible } from '../output.ts';
import { type AdminClient, adminClient } from './admin-client.ts';

export interface EventFlags extends ConnectionFlags {
  readonly after?: string;
  readonly follow?: boolean;
}

const pageSize = 100;
const pollMs = 2_000;

export async function showEvents(flags: EventFlags): Promise<void> {
  const after = afterOf(flags.after);
  const client = adminClient(flags);
  if (flags.follow) return follow(client, after, flags.json ?? false);
  const list = await client.events(after, pageSize);
  if (flags.json) return printJson(list);
  if (list.data.length === 0) return print('No events.');
  for (const event of list.data) print(lineOf(event));
  if (list.has_more) print(`\nMore: --after ${list.next_after}`);
}

function afterOf(text = '0'): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Problem('invalid_usage', `Cannot use --after: "${text.slice(0, 40)}" is not the number of an event`, {
    param: 'after',
  });
}

/** Ctrl-C is how it ends, and no error. A server that restarts is waited for. */
async function follow(client: AdminClient, from: number, isJson: boolean): Promise<void> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  let after = from;
  let isReached = false;
  let isLost = false;
  while (!stop.signal.aborted) {
    try {
      const list = await client.events(after, pageSize, stop.signal);
      isReached = true;
      isLost = false;
      for (const event of list.data) isJson ? printJson(event) : print(lineOf(event));
      after = list.next_after;
      if (!list.has_more) await sleep(pollMs, undefined, { signal: stop.signal });
    } catch (error) {
      if (stop.signal.aborted) return;
      if (!(error instanceof UnreachableError) || !isReached) throw error;
      if (!isLost) say('Note: the server does not answer; still trying.');
      isLost = true;
      await sleep(pollMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  }
}

function lineOf({ ord, created_at: at, type, data }: EventJson): string {
  const fields = Object.entries((data ?? {}) as Record<string, unknown>).filter(([, value]) => value !== null);
  return visible(
    `${String(ord).padStart(6)}  ${at}  ${type}  ${fields.map(([name, value]) => `${name}=${value}`).join(' ')}`,
  );
}

/** `GET /v1/events`, as an operator reads it. */
import type { EventJson, EventList } from '@waybill/producer/routes/events.ts';
import { exchange } from './http-exchange.ts';
import type { TestWaybill } from './waybill.ts';

export interface ToldEvent extends EventJson {
  readonly data: Readonly<Record<string, unknown>>;
}

/** All of them, page after page, oldest first. */
export async function listEvents({ url, adminKey }: TestWaybill): Promise<ToldEvent[]> {
  const all: ToldEvent[] = [];
  for (let after: number | null = 0; after !== null; ) {
    const answer = await exchange(url, adminKey, { path: `/v1/events?after=${after}` });
    if (answer.status !== 200) throw new Error(`GET /v1/events answered ${answer.status}: ${answer.text}`);
    const page = JSON.parse(answer.text) as EventList;
    all.push(...(page.data as ToldEvent[]));
    after = page.has_more ? page.next_after : null;
  }
  return all;
}

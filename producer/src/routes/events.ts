/** `GET /v1/events`: what happened to no single job, in the order it was noted; the cursor is the number of the last one. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import { type NotedEvent, readEvents } from '@waybill/shared/store/events.ts';
import { Router } from 'express';
import type { ApiContext } from '../api-context.ts';
import { requireScope } from '../authentication.ts';
import { onlyMethods } from '../methods.ts';
import { strictQuery } from '../strict-query.ts';

const defaultLimit = 100;
const largestLimit = 100;

export interface EventJson {
  readonly object: 'event';
  readonly id: string;
  /** Rises with every event. */
  readonly ord: number;
  readonly type: string;
  readonly created_at: string;
  readonly data: unknown;
}

export interface EventList {
  readonly object: 'list';
  readonly data: readonly EventJson[];
  readonly has_more: boolean;
  /** What `after` is for the next page, now or later. */
  readonly next_after: number;
}

export function eventsRouter({ authenticator, database }: ApiContext): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/')
    .get(requireScope(authenticator, 'admin'), async (request, response) => {
      const query = strictQuery(request, ['after', 'limit']);
      const after = afterOf(query.after);
      const limit = limitOf(query.limit);
      const events = await readEvents(database, after, limit + 1);
      const page = events.slice(0, limit);
      response.json({
        object: 'list',
        data: page.map(eventJson),
        has_more: events.length > limit,
        next_after: page.at(-1)?.ord ?? after,
      } satisfies EventList);
    })
    .all(onlyMethods('GET'));
  return router;
}

const eventJson = ({ id, ord, type, data, createdAt }: NotedEvent): EventJson => ({
  object: 'event',
  id,
  ord,
  type,
  created_at: createdAt.toISOString(),
  data,
});

function afterOf(text = '0'): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Problem(
    'invalid_cursor',
    `Cannot list events: after is "${text.slice(0, 40)}", expected the ord of the last event seen, or nothing`,
    { param: 'after' },
  );
}

function limitOf(text = String(defaultLimit)): number {
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= largestLimit) return limit;
  throw new Problem(
    'invalid_limit',
    `Cannot list events: limit is "${text.slice(0, 40)}", expected 1 to ${largestLimit}`,
    { param: 'limit' },
  );
}

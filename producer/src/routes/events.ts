/** `GET /v1/events`: what happened to no single job, in the order it was noted; the cursor is the number of the last one. */
import { type NotedEvent, readEvents } from '@waybill/shared/store/events.ts';
import { Router } from 'express';
import type { ApiContext } from '../api-context.ts';
import { requireScope } from '../authentication.ts';
import { onlyMethods } from '../methods.ts';
import { strictQuery } from '../strict-query.ts';
import { afterOf, limitOf, type OrdList, ordList } from './ord-list.ts';

export interface EventJson {
  readonly object: 'event';
  readonly id: string;
  /** Rises with every event. */
  readonly ord: number;
  readonly type: string;
  readonly created_at: string;
  readonly data: unknown;
}

export type EventList = OrdList<EventJson>;

export function eventsRouter({ authenticator, database }: ApiContext): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/')
    .get(requireScope(authenticator, 'admin'), async (request, response) => {
      const query = strictQuery(request, ['after', 'limit']);
      const after = afterOf(query.after, 'events');
      const limit = limitOf(query.limit, 'events');
      const events = await readEvents(database, after, limit + 1);
      response.json(ordList(events.map(eventJson), { after, limit }) satisfies EventList);
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

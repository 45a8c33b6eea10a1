/**
 * What one reader of a job's stream is to be told next. Pure: pages of the chunk store and the final job go in, events
 * come out.
 *
 * The store may have lost anything. A reader is told so, gets the rest or the whole of the output in the end, and is
 * never left with text that the output does not have.
 */
import type { StreamPage } from '@waybill/shared/coordination/chunks.ts';
import type { ReaderEvent, StreamDelta, StreamEvent } from '@waybill/shared/coordination/stream-events.ts';
import { createTold, partOfCall } from '@waybill/shared/coordination/told.ts';
import type { JobJson } from './job-json.ts';
import type { StreamPosition } from './stream-position.ts';

export interface Numbered {
  /** null: to come back to here is to come back to the event before. */
  readonly position: StreamPosition | null;
  readonly event: ReaderEvent;
}

export interface StreamReading {
  /** The number of the last event that was read. */
  readonly cursor: number;
  /** A page from the cursor on; null: the store holds nothing. `again`: another stream, to be read from the cursor. */
  page(page: StreamPage | null): { readonly events: readonly Numbered[]; readonly again: boolean };
  /** The job is final, and the store is read. */
  end(job: FinalJob): readonly Numbered[];
}

export type FinalJob = Pick<JobJson, 'status' | 'usage' | 'error'> & { readonly output: unknown };

/** @param from where the reader was before, in this run or in another; null: it has nothing */
export function createStreamReading(run: number, from: StreamPosition | null): StreamReading {
  const told = createTold();
  let token: string | null = null;
  let cursor = 0;
  let known = 0;
  /** What was told begins where the answer begins. */
  let isWhole = true;
  let before = from;
  const gap = (): Numbered[] => {
    told.clear();
    isWhole = false;
    return [{ position: null, event: { type: 'gap' } }];
  };
  const take = (event: StreamEvent | null): Numbered[] => {
    cursor += 1;
    const lost = cursor === 1 && (event?.type === 'delta' || event?.type === 'resumed') ? gap() : [];
    if (event === null || token === null) return lost;
    if (event.type === 'started' || event.type === 'restarted') isWhole = true;
    if (!isWhole) return lost;
    told.add(event);
    return cursor <= known ? lost : [...lost, { position: { kind: 'chunk', token, n: cursor }, event }];
  };
  return {
    get cursor() {
      return cursor;
    },
    page(page) {
      if (page === null) {
        // Nothing yet, or no more.
        const wasThere = token !== null || before !== null;
        token = null;
        before = null;
        cursor = 0;
        return { events: wasThere ? gap() : [], again: false };
      }
      if (page.token === token) return { events: page.events.flatMap(take), again: false };
      const isKnown = before?.kind === 'chunk' && before.token === page.token;
      known = isKnown && before?.kind === 'chunk' ? before.n : 0;
      const events = token !== null || (before !== null && !isKnown) ? gap() : [];
      before = null;
      token = page.token;
      if (cursor === 0) return { events: [...events, ...page.events.flatMap(take)], again: false };
      cursor = 0;
      return { events, again: true };
    },
    end(job) {
      const done: Numbered = { position: { kind: 'done', run }, event: doneOf(job) };
      if (before?.kind === 'whole' && before.run === run) return [done];
      const parts = partsOf(job.output);
      const fits = parts.every(({ part, text }) => part === 'reasoning' || told.rest(part, text) !== null);
      const lost = (before !== null || !fits) && parts.length > 0 ? gap() : [];
      const rest = parts.flatMap(({ part, text, toDelta }) => {
        const left = told.rest(part, text);
        return left === null || left === '' ? [] : [toDelta(left, left === text)];
      });
      const numbered = rest.map((event, at): Numbered => {
        return { position: { kind: at === rest.length - 1 ? 'whole' : 'rest', run }, event };
      });
      return [...lost, ...numbered, done];
    },
  };
}

interface Part {
  readonly part: string;
  readonly text: string;
  /** @param isFirst nothing of it was told before */
  toDelta(text: string, isFirst: boolean): StreamDelta;
}

type Output = {
  choices?: {
    message?: {
      content?: string | null;
      refusal?: string | null;
      reasoning_content?: string | null;
      tool_calls?: { id: string; function: { name: string; arguments: string } }[];
    };
    finish_reason?: string | null;
  }[];
} | null;

/** Of the first choice: further ones are not streamed. Of embeddings: nothing. */
function partsOf(output: unknown): Part[] {
  const message = (output as Output)?.choices?.[0]?.message;
  if (!message) return [];
  const ofText = (kind: 'text' | 'reasoning' | 'refusal', text: string | null | undefined): Part => ({
    part: kind,
    text: text ?? '',
    toDelta: (left) => ({ type: 'delta', kind, text: left }),
  });
  return [
    ofText('reasoning', message.reasoning_content),
    ofText('text', message.content),
    ofText('refusal', message.refusal),
    ...(message.tool_calls ?? []).map(
      ({ id, function: { name, arguments: args } }, index): Part => ({
        part: partOfCall(index),
        text: args,
        toDelta: (left, isFirst) => {
          const head = isFirst ? { id, name } : { id: null, name: null };
          return { type: 'delta', kind: 'tool_call', index, ...head, arguments: left };
        },
      }),
    ),
  ];
}

const doneOf = ({ status, output, usage, error }: FinalJob): ReaderEvent => ({
  type: 'done',
  status,
  finish_reason: (output as Output)?.choices?.[0]?.finish_reason ?? null,
  usage,
  error: error === null ? null : { kind: error.kind, message: error.message },
});

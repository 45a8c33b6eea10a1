/**
 * Tells an answer to whoever reads the job's stream, piece by piece as it comes in.
 *
 * It stands beside the attempt, never in its way: pieces are gathered and written every 50 ms at most, one write at a
 * time, and a store that is slow or gone costs readers their pieces, never the attempt its answer. What could not be
 * told comes from the job's output in the end.
 */
import {
  type ChunkStore,
  chunkBounds,
  type StreamName,
  type WriterPlace,
} from '@waybill/shared/coordination/chunks.ts';
import type { StreamDelta, StreamEvent } from '@waybill/shared/coordination/stream-events.ts';
import type { StreamPiece } from '@waybill/shared/providers/dialect.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { type Beginning, beginTelling } from './begin-telling.ts';
import { isEmptyDelta, join, lengthOf, toDelta } from './coalesce.ts';

export interface Teller {
  piece(piece: StreamPiece): void;
  /** Writes what is left, within a bound. Returns what the attempt should warn of. */
  end(): Promise<readonly string[]>;
}

export interface TellerOptions {
  readonly chunks: Pick<ChunkStore, 'open' | 'append'>;
  readonly stream: StreamName;
  readonly beginning: Beginning;
  readonly logger: Logger;
  /** Characters, of all pieces of the attempt. */
  readonly most?: number;
}

const writeEveryMs = 50;
const firstRestMs = 200;
const longestRestMs = 5_000;
/** How long the settle waits for the last pieces, so that they come before the end. */
const endPatienceMs = 250;

type State = 'tells' | 'full' | 'lost';

/** Writes one batch after the other. */
interface Writer {
  /** Writes what the last time left over, else what is given. An error leaves it over. */
  write(gathered: () => readonly StreamDelta[]): Promise<State>;
  /** Something is left over. */
  readonly isOwing: boolean;
  /** How long to leave the store alone after its errors; 0: it answered. */
  readonly restMs: number;
}

function createWriter({ chunks, stream, beginning, logger }: TellerOptions): Writer {
  const { attempt } = beginning;
  /** Written again after an error as it was: the store knows events by their number. */
  let batch: readonly StreamEvent[] = [];
  let place: WriterPlace | null = null;
  let restMs = 0;
  const add = async (gathered: () => readonly StreamDelta[]): Promise<State> => {
    if (place === null) {
      const page = await chunks.open(stream, attempt);
      if (page === null) return 'lost';
      place = { attempt, token: page.token, after: page.events.length };
      batch = beginTelling(page.events, beginning);
    }
    if (batch.length === 0) batch = gathered();
    if (batch.length === 0) return 'tells';
    const answer = await chunks.append(stream, place, batch);
    if (answer !== 'told') return answer;
    place = { ...place, after: place.after + batch.length };
    batch = [];
    restMs = 0;
    return 'tells';
  };
  return {
    get isOwing() {
      return place === null || batch.length > 0;
    },
    get restMs() {
      return restMs;
    },
    async write(gathered) {
      try {
        return await add(gathered);
      } catch (error) {
        restMs = Math.min(longestRestMs, Math.max(firstRestMs, restMs * 2));
        logger.debug({ err: error, job_id: stream.jobId }, 'pieces of a streamed job could not be told');
        return 'tells';
      }
    },
  };
}

export function createTeller(options: TellerOptions): Teller {
  const { beginning, most = chunkBounds.bytesPerStream } = options;
  const writer = createWriter(options);
  let gathered: StreamDelta[] = [];
  let length = 0;
  let state: State = 'tells';
  let wroteAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | null = null;
  const leave = (why: State) => {
    if (why === 'tells' || state !== 'tells') return;
    state = why;
    gathered = [];
  };
  const take = () => gathered.splice(0);
  const isWaiting = () => state === 'tells' && (writer.isOwing || gathered.length > 0);
  const start = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    writing ??= writer.write(take).then((answer) => {
      leave(answer);
      writing = null;
      wroteAt = performance.now();
      if (isWaiting()) schedule();
    });
    return writing;
  };
  const schedule = () => {
    const dueMs = Math.max(writeEveryMs, writer.restMs) - (performance.now() - wroteAt);
    timer ??= setTimeout(start, Math.max(0, dueMs)).unref();
  };
  const finish = async (): Promise<void> => {
    await writing;
    // Twice: the beginning, and what has gathered since.
    for (let round = 0; round < 2 && isWaiting() && writer.restMs === 0; round += 1) await start();
  };
  void start();
  return {
    piece(piece) {
      const delta = toDelta(piece, beginning.goesOnFrom?.toolCalls ?? 0);
      if (state !== 'tells' || isEmptyDelta(delta)) return;
      length += lengthOf(delta);
      if (length > most) return leave('full');
      const last = gathered.at(-1);
      const joined = last === undefined ? null : join(last, delta);
      gathered.splice(joined === null ? gathered.length : -1, 1, joined ?? delta);
      if (writing === null) schedule();
    },
    async end() {
      const patience = Promise.withResolvers<void>();
      const limit = setTimeout(patience.resolve, endPatienceMs);
      await Promise.race([finish(), patience.promise]);
      clearTimeout(limit);
      clearTimeout(timer);
      const isCut = state === 'full';
      leave('lost');
      return isCut ? ['the answer is too long to be streamed whole: its end is told with the output'] : [];
    },
  };
}

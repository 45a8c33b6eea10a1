/**
 * The chunk store: what streamed jobs have told so far, for those who read along.
 *
 * It holds copies only. Whatever it loses, the job's output is whole in the database, and readers are given that in
 * the end. A stream belongs to one run of one job, has one writer at a time, and is numbered from 1.
 */
import { randomBytes } from 'node:crypto';
import { parseStreamEvent, type StreamEvent } from './stream-events.ts';

export interface StreamName {
  readonly jobId: string;
  readonly run: number;
}

export interface StreamPage {
  /** New for every stream that is begun: one that was lost and begun again is not taken for the old one. */
  readonly token: string;
  /** In order and without holes. null: an event that this version does not know; it counts all the same. */
  readonly events: readonly (StreamEvent | null)[];
}

/** Where a writer stands: its own attempt, the stream it opened, and the number of the last event in it. */
export interface WriterPlace {
  readonly attempt: number;
  readonly token: string;
  readonly after: number;
}

/** `full`: a bound would be passed. `lost`: another attempt has the stream, or the store lost it. Nothing was added. */
export type AppendAnswer = 'told' | 'full' | 'lost';

export interface ChunkStore {
  /** Gives the stream to an attempt, begins it where there is none, and says what it holds. null: a later attempt has it. */
  open(stream: StreamName, attempt: number): Promise<StreamPage | null>;
  /** All or nothing. Doing it again after an error adds nothing twice. */
  append(stream: StreamName, place: WriterPlace, events: readonly StreamEvent[]): Promise<AppendAnswer>;
  /** What comes after the event of that number. null: it holds nothing of the stream. */
  read(stream: StreamName, after: number): Promise<StreamPage | null>;
  /** Calls back soon after something was added, until the returned function is called. A hint: whoever waits looks too. */
  watch(stream: StreamName, onAppended: () => void): () => void;
  /** What upkeep does now and then. */
  forgetOld(): Promise<void>;
  close(): Promise<void>;
}

export interface ChunkBounds {
  readonly eventsPerStream: number;
  /** Of the events as JSON. */
  readonly bytesPerStream: number;
  /** The ones that were quiet longest go first. */
  readonly streams: number;
  /** Of all streams together, where they are in the memory of one process. */
  readonly bytes: number;
  /** After the last piece. */
  readonly lifetimeMs: number;
}

export const chunkBounds: ChunkBounds = {
  eventsPerStream: 10_000,
  bytesPerStream: 2 * 1024 * 1024,
  streams: 10_000,
  bytes: 128 * 1024 * 1024,
  lifetimeMs: 10 * 60_000,
};

/** The most events that one `read` returns. */
export const pageSize = 256;

export const streamKey = ({ jobId, run }: StreamName): string => `${jobId}-${run}`;
export const toPage = (token: string, texts: readonly string[]): StreamPage => ({
  token,
  events: texts.map(parseStreamEvent),
});
export const toTexts = (events: readonly StreamEvent[]): string[] => events.map((event) => JSON.stringify(event));
export const newToken = (): string => randomBytes(4).toString('hex');

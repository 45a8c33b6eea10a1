/** Chunks in memory: for a process that is alone. */
import { EventEmitter } from 'node:events';
import {
  type ChunkBounds,
  type ChunkStore,
  chunkBounds,
  newToken,
  pageSize,
  streamKey,
  toPage,
  toTexts,
} from './chunks.ts';

interface Held {
  readonly token: string;
  attempt: number;
  readonly texts: string[];
  bytes: number;
  touchedAtMs: number;
}

export function createMemoryChunks({
  bounds = chunkBounds,
  now = Date.now,
}: {
  bounds?: ChunkBounds;
  now?: () => number;
} = {}): ChunkStore {
  /** The one that was quiet longest comes first. */
  const streams = new Map<string, Held>();
  const appended = new EventEmitter().setMaxListeners(0);
  let bytes = 0;
  const touch = (key: string, held: Held) => {
    held.touchedAtMs = now();
    streams.delete(key);
    streams.set(key, held);
  };
  const forget = () => {
    for (const [key, held] of streams) {
      const isOver = streams.size > bounds.streams || bytes > bounds.bytes;
      if (!isOver && held.touchedAtMs > now() - bounds.lifetimeMs) return;
      streams.delete(key);
      bytes -= held.bytes;
    }
  };
  return {
    async open(stream, attempt) {
      const key = streamKey(stream);
      const held = streams.get(key) ?? newStream();
      if (held.attempt > attempt) return null;
      held.attempt = attempt;
      touch(key, held);
      forget();
      return toPage(held.token, held.texts);
    },
    async append(stream, { attempt, token, after }, events) {
      const key = streamKey(stream);
      const held = streams.get(key);
      if (held?.token !== token || held.attempt !== attempt || after > held.texts.length) return 'lost';
      const texts = toTexts(events).slice(held.texts.length - after);
      const size = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
      if (held.texts.length + texts.length > bounds.eventsPerStream || held.bytes + size > bounds.bytesPerStream)
        return 'full';
      held.texts.push(...texts);
      held.bytes += size;
      bytes += size;
      touch(key, held);
      forget();
      appended.emit(key);
      return 'told';
    },
    async read(stream, after) {
      const held = streams.get(streamKey(stream));
      return held === undefined ? null : toPage(held.token, held.texts.slice(after, after + pageSize));
    },
    watch(stream, onAppended) {
      const key = streamKey(stream);
      appended.on(key, onAppended);
      return () => void appended.off(key, onAppended);
    },
    forgetOld: async () => forget(),
    close: async () => streams.clear(),
  };
}

const newStream = (): Held => ({ token: newToken(), attempt: 0, texts: [], bytes: 0, touchedAtMs: 0 });

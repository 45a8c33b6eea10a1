/**
 * Signals between processes: told at home at once, to the others in packets, one packet per turn of the event loop.
 *
 * A signal is a hint that saves a poll. It is never repeated and never awaited.
 */
import { EventEmitter } from 'node:events';
import { z } from 'zod';
import type { Coordination, Signal } from './coordination.ts';

const signalSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('cancel'), jobId: z.string() }),
  z.object({ type: z.literal('final'), jobId: z.string() }),
  z.object({ type: z.literal('work') }),
  z.object({ type: z.literal('permit_freed'), target: z.string() }),
  z.object({ type: z.literal('breaker_changed'), target: z.string() }),
  z.object({ type: z.literal('budget_freed') }),
  z.object({ type: z.literal('configuration_changed'), version: z.string() }),
]);
const packetSchema = z.object({ from: z.string(), signals: z.array(z.unknown()) });

/** PostgreSQL takes no NOTIFY of 8,000 bytes or more. */
const maxPacketBytes = 7_500;
/** More than this wait only when the wire is down; then polls do the work. */
const maxWaiting = 2_000;

export interface Wire {
  send(packet: string): Promise<void>;
}

export interface Signals extends Pick<Coordination, 'publish' | 'subscribe'> {
  /** A packet of another process; its own come back too, and are ignored. */
  receive(packet: string): void;
}

/** @param wire null: the process is alone */
export function createSignals(origin: string, wire: Wire | null, onError: (error: Error) => void): Signals {
  const emitter = new EventEmitter<{ signal: [Signal] }>();
  emitter.setMaxListeners(0);
  let waiting = new Map<string, Signal>();
  const flush = async (): Promise<void> => {
    const signals = [...waiting.keys()];
    waiting = new Map();
    // Each packet fails alone.
    for (const packet of packets(origin, signals)) await wire?.send(packet).catch(onError);
  };
  return {
    publish(signal) {
      emitter.emit('signal', signal);
      if (wire === null || waiting.size >= maxWaiting) return;
      if (waiting.size === 0) setImmediate(() => void flush());
      // The same thing twice in one turn is told once.
      waiting.set(JSON.stringify(signal), signal);
    },
    subscribe(listener) {
      emitter.on('signal', listener);
      return () => void emitter.off('signal', listener);
    },
    receive(packet) {
      const parsed = packetSchema.safeParse(tryParse(packet));
      if (!parsed.success || parsed.data.from === origin) return;
      for (const one of parsed.data.signals) {
        const signal = signalSchema.safeParse(one);
        // A kind of another version is not for us.
        if (signal.success) emitter.emit('signal', signal.data);
      }
    },
  };
}

/** Signals as JSON texts -> packets that the wire takes. */
function packets(origin: string, signals: readonly string[]): string[] {
  const head = `{"from":${JSON.stringify(origin)},"signals":[`;
  const made: string[] = [];
  let body = '';
  for (const signal of signals) {
    if (
      body !== '' &&
      Buffer.byteLength(head) + Buffer.byteLength(body) + Buffer.byteLength(signal) + 3 > maxPacketBytes
    ) {
      made.push(`${head}${body}]}`);
      body = '';
    }
    body += `${body === '' ? '' : ','}${signal}`;
  }
  if (body !== '') made.push(`${head}${body}]}`);
  return made;
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

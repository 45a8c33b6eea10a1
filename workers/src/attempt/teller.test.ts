import { type ChunkStore, chunkBounds } from '@waybill/shared/coordination/chunks.ts';
import { createMemoryChunks } from '@waybill/shared/coordination/memory-chunks.ts';
import type { StreamEvent } from '@waybill/shared/coordination/stream-events.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createTeller, type TellerOptions } from './teller.ts';

const stream = { jobId: 'job_1', run: 1 };
const beginning = { attempt: 1, target: 'a/one', goesOnFrom: null, because: null };
const started: StreamEvent = { type: 'started', attempt: 1, target: 'a/one' };
const text = (of: string): StreamEvent => ({ type: 'delta', kind: 'text', text: of });
const tooLong = ['the answer is too long to be streamed whole: its end is told with the output'];

let chunks: ChunkStore;
/** The events of each append that was made. */
let appends: StreamEvent[][];
let log: string[];

beforeEach(() => {
  vi.useFakeTimers();
  chunks = createMemoryChunks();
  appends = [];
  log = [];
});
afterEach(() => void vi.useRealTimers());

/** @param answer stands in for an append of the store; undefined: the store's own */
function tellerOn(
  more: Partial<TellerOptions> = {},
  answer: (n: number) => Promise<'told'> | undefined = () => undefined,
) {
  const store: TellerOptions['chunks'] = {
    open: chunks.open,
    append(name, place, events) {
      appends.push([...events]);
      return answer(appends.length) ?? chunks.append(name, place, events);
    },
  };
  const logger = createLogger({ level: 'debug', destination: { write: (line) => void log.push(line) } });
  return createTeller({ chunks: store, stream, beginning, logger, ...more });
}
const say = (teller: ReturnType<typeof tellerOn>, of: string) => teller.piece({ kind: 'text', text: of });
const held = async () => (await chunks.read(stream, 0))?.events;

test('says at once that the attempt started', async () => {
  tellerOn();
  await vi.advanceTimersByTimeAsync(0);
  expect(await held()).toEqual([started]);
});

test('gathers pieces to at most twenty writes a second', async () => {
  const teller = tellerOn();
  for (let n = 0; n < 1_000; n += 1) {
    say(teller, '.');
    await vi.advanceTimersByTimeAsync(1);
  }
  await teller.end();
  expect(appends.length).toBeGreaterThan(10);
  expect(appends.length).toBeLessThanOrEqual(22);
  expect(
    (await held())
      ?.slice(1)
      .map((event) => (event as { text: string }).text)
      .join(''),
  ).toBe('.'.repeat(1_000));
});

test('tells what is left at the end, kinds in their order', async () => {
  const teller = tellerOn();
  teller.piece({ kind: 'reasoning', text: 'h' });
  teller.piece({ kind: 'reasoning', text: 'm' });
  say(teller, 'a');
  say(teller, '');
  say(teller, 'b');
  teller.piece({ kind: 'tool_call', index: 0, id: 'x', name: 'f', arguments: '' });
  teller.piece({ kind: 'tool_call', index: 0, id: null, name: null, arguments: '{}' });
  expect(await teller.end()).toEqual([]);
  expect(await held()).toEqual([
    started,
    { type: 'delta', kind: 'reasoning', text: 'hm' },
    text('ab'),
    { type: 'delta', kind: 'tool_call', index: 0, id: 'x', name: 'f', arguments: '{}' },
  ]);
});

test('tries again what failed, and tells it once and in order', async () => {
  const teller = tellerOn({}, (n) => (n === 1 || n === 3 ? Promise.reject(new Error('no store')) : undefined));
  say(teller, 'a');
  await vi.advanceTimersByTimeAsync(1_000);
  say(teller, 'b');
  await vi.advanceTimersByTimeAsync(60);
  say(teller, 'c');
  await vi.advanceTimersByTimeAsync(1_000);
  await teller.end();
  expect(await held()).toEqual([started, text('a'), text('b'), text('c')]);
  expect(log.filter((line) => line.includes('could not be told'))).toHaveLength(2);
});

test('an append that was done although it failed is not done twice', async () => {
  const teller = tellerOn({}, (n) =>
    n === 2
      ? chunks
          .append(stream, { attempt: 1, token: token(), after: 1 }, [text('a')])
          .then(() => Promise.reject(new Error('the answer was lost')))
      : undefined,
  );
  await vi.advanceTimersByTimeAsync(0);
  const page = await chunks.read(stream, 0);
  const token = () => page?.token ?? '';
  say(teller, 'a');
  await vi.advanceTimersByTimeAsync(100);
  say(teller, 'b');
  await vi.advanceTimersByTimeAsync(1_000);
  await teller.end();
  expect(await held()).toEqual([started, text('a'), text('b')]);
});

test('waits for a store that hangs only a moment at the end', async () => {
  const teller = tellerOn({}, () => new Promise(() => undefined));
  say(teller, 'a');
  const ended = vi.fn();
  void teller.end().then(ended);
  await vi.advanceTimersByTimeAsync(249);
  expect(ended).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(ended).toHaveBeenCalledWith([]);
  expect(vi.getTimerCount()).toBe(0);
});

test('stops at its own bound, and warns of it once', async () => {
  const teller = tellerOn({ most: 5 });
  await vi.advanceTimersByTimeAsync(0);
  say(teller, 'abc');
  await vi.advanceTimersByTimeAsync(60);
  for (const piece of ['def', 'g']) say(teller, piece);
  expect(await teller.end()).toEqual(tooLong);
  expect(await held()).toEqual([started, text('abc')]);
});

test("stops at the store's bound, and warns of it", async () => {
  chunks = createMemoryChunks({ bounds: { ...chunkBounds, eventsPerStream: 1 } });
  const teller = tellerOn();
  await vi.advanceTimersByTimeAsync(60);
  say(teller, 'a');
  expect(await teller.end()).toEqual(tooLong);
  expect(await held()).toEqual([started]);
});

test('is silent when a later attempt has the stream', async () => {
  const teller = tellerOn();
  await vi.advanceTimersByTimeAsync(60);
  await chunks.open(stream, 2);
  say(teller, 'late');
  expect(await teller.end()).toEqual([]);
  expect(await held()).toEqual([started]);
  const again = tellerOn();
  say(again, 'later still');
  expect(await again.end()).toEqual([]);
  expect(await held()).toEqual([started]);
});

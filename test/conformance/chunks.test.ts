/** What the chunk store promises, the same wherever it is. */
import type { ChunkStore, StreamName } from '@waybill/shared/coordination/chunks.ts';
import { pageSize } from '@waybill/shared/coordination/chunks.ts';
import type { StreamEvent } from '@waybill/shared/coordination/stream-events.ts';
import { newId } from '@waybill/shared/domain/ids.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ChunksUnderTest, chunksUnderTest } from '../support/chunks-under-test.ts';
import { eventually } from '../support/waybill.ts';

const text = (of: string): StreamEvent => ({ type: 'delta', kind: 'text', text: of });
const started: StreamEvent = { type: 'started', attempt: 1, target: 'a/one' };

describe.each(chunksUnderTest)('chunks in $name', ({ start }) => {
  let under: ChunksUnderTest;
  /** Two processes. */
  let writer: ChunkStore;
  let reader: ChunkStore;
  let stream: StreamName;

  beforeAll(async () => {
    under = await start();
    console.info(`The chunk store under test: ${under.source}`);
    writer = await under.open('plain');
    reader = await under.open('plain');
  }, 120_000);
  afterAll(() => under.stop());
  beforeEach(() => {
    stream = { jobId: newId('job'), run: 1 };
  });

  async function begin(attempt = 1, store = writer) {
    const page = await store.open(stream, attempt);
    if (page === null) throw new Error('a later attempt has the stream');
    return { attempt, token: page.token, after: page.events.length };
  }
  const add = (place: Awaited<ReturnType<typeof begin>>, ...events: StreamEvent[]) =>
    writer.append(stream, place, events);

  it('holds nothing of a stream that nobody opened', async () => {
    expect(await reader.read(stream, 0)).toBeNull();
  });

  it('gives events back in order, to another process, from any number on', async () => {
    const place = await begin();
    expect(await add(place, started, text('one '))).toBe('told');
    expect(await add({ ...place, after: 2 }, text('two'))).toBe('told');
    expect(await reader.read(stream, 0)).toEqual({ token: place.token, events: [started, text('one '), text('two')] });
    expect(await reader.read(stream, 2)).toEqual({ token: place.token, events: [text('two')] });
    expect(await reader.read(stream, 3)).toEqual({ token: place.token, events: [] });
  });

  it('keeps every character, those that databases refuse too', async () => {
    const place = await begin();
    const odd = [text('\u0000'), text('\ud83d'), text('\ude00 "\\\n'), text('')];
    const call: StreamEvent = { type: 'delta', kind: 'tool_call', index: 0, id: 'a', name: 'f', arguments: '{"x"' };
    await add(place, ...odd, call);
    expect((await reader.read(stream, 0))?.events).toEqual([...odd, call]);
  });

  it('adds nothing twice when an append is repeated', async () => {
    const place = await begin();
    for (let n = 0; n < 3; n += 1) expect(await add(place, started, text('once'))).toBe('told');
    expect((await reader.read(stream, 0))?.events).toEqual([started, text('once')]);
  });

  it('gives a stream to the latest attempt, which is told what is there, and refuses older ones', async () => {
    const first = await begin(1);
    await add(first, started, text('one'));
    const second = await reader.open(stream, 2);
    expect(second).toEqual({ token: first.token, events: [started, text('one')] });
    expect(await add({ ...first, after: 2 }, text('late'))).toBe('lost');
    expect(await writer.open(stream, 1)).toBeNull();
    expect(await add({ attempt: 2, token: first.token, after: 2 }, text('two'))).toBe('told');
    expect((await reader.read(stream, 2))?.events).toEqual([text('two')]);
  });

  it('keeps the runs of a job apart', async () => {
    const place = await begin();
    await add(place, started);
    expect(await reader.read({ ...stream, run: 2 }, 0)).toBeNull();
  });

  it('refuses a writer whose stream was lost, and a stream begun again has another token', async () => {
    const place = await begin();
    await add(place, started);
    await under.wipe('plain');
    expect(await reader.read(stream, 0)).toBeNull();
    expect(await add({ ...place, after: 1 }, text('on'))).toBe('lost');
    const again = await begin(1);
    expect(again.token).not.toBe(place.token);
    expect(await add({ ...place, after: 0 }, text('on'))).toBe('lost');
  });

  it('refuses a writer that knows of more than there is', async () => {
    const place = await begin();
    expect(await add({ ...place, after: 5 }, started)).toBe('lost');
  });

  it('reads page by page', async () => {
    const place = await begin();
    const many = Array.from({ length: pageSize + 10 }, (_, n) => text(`${n} `));
    await add(place, ...many);
    expect((await reader.read(stream, 0))?.events).toEqual(many.slice(0, pageSize));
    expect((await reader.read(stream, pageSize))?.events).toEqual(many.slice(pageSize));
  });

  it('wakes a reader in another process, until it looks away', async () => {
    const place = await begin();
    const woken = { first: 0, second: 0 };
    let after = 0;
    // A subscription may take a moment, and the store only hints: the writer goes on until it is heard.
    const untilHeard = (by: keyof typeof woken) =>
      eventually(
        async () => {
          await add({ ...place, after }, text('.'));
          after += 1;
          return woken[by];
        },
        (times) => times > 0,
      );
    const listen = (by: keyof typeof woken) =>
      reader.watch(stream, () => {
        woken[by] += 1;
      });
    const stopFirst = listen('first');
    await untilHeard('first');
    stopFirst();
    const before = woken.first;
    const stopSecond = listen('second');
    await untilHeard('second');
    stopSecond();
    expect(woken.first).toBe(before);
  });

  it('takes many streams at once, each on its own', async () => {
    const streams = Array.from({ length: 30 }, () => ({ jobId: newId('job'), run: 1 }));
    await Promise.all(
      streams.map(async (each, n) => {
        const page = await writer.open(each, 1);
        const place = { attempt: 1, token: n === 7 ? 'not-ours' : (page?.token ?? ''), after: 0 };
        expect(await writer.append(each, place, [started, text(`${n}`)])).toBe(n === 7 ? 'lost' : 'told');
      }),
    );
    const pages = await Promise.all(streams.map((each) => reader.read(each, 1)));
    expect(pages.map((page) => page?.events)).toEqual(streams.map((_, n) => (n === 7 ? [] : [text(`${n}`)])));
  });

  it.for([
    ['events', { eventsPerStream: 3 }],
    ['bytes', { bytesPerStream: JSON.stringify(text('.')).length * 3 }],
  ] as const)('takes no more than so many %s of one stream, all or nothing', async ([what, bounds]) => {
    const small = await under.open(`bounded-${what}`, bounds);
    const place = await begin(1, small);
    const append = (after: number, ...events: StreamEvent[]) => small.append(stream, { ...place, after }, events);
    expect(await append(0, text('.'), text('.'))).toBe('told');
    expect(await append(2, text('.'), text('.'))).toBe('full');
    expect((await small.read(stream, 0))?.events).toHaveLength(2);
    expect(await append(2, text('.'))).toBe('told');
    expect(await append(3, text('.'))).toBe('full');
  });

  it('forgets the streams that were quiet longest when there are too many', async () => {
    const few = await under.open('few', { streams: 2 });
    const names = Array.from({ length: 4 }, () => ({ jobId: newId('job'), run: 1 }));
    for (const name of names) {
      const page = await few.open(name, 1);
      await few.append(name, { attempt: 1, token: page?.token ?? '', after: 0 }, [started]);
    }
    await few.forgetOld();
    const held = await eventually(
      () => Promise.all(names.map(async (name) => (await few.read(name, 0)) !== null)),
      (there) => there.filter(Boolean).length === 2,
    );
    expect(held).toEqual([false, false, true, true]);
  });

  it('forgets a stream some time after its last piece', async () => {
    const brief = await under.open('brief', { lifetimeMs: 300 });
    const place = await begin(1, brief);
    await brief.append(stream, place, [started]);
    expect(await brief.read(stream, 0)).not.toBeNull();
    await eventually(
      async () => {
        await brief.forgetOld();
        return brief.read(stream, 0);
      },
      (page) => page === null,
    );
  });
});

/** What happens to answers on their way: cut, stalled, mangled, packed. Each is a failure of its kind after one request. */
import { gzipSync } from 'node:zlib';
import type { Failure } from '@waybill/shared/domain/failure.ts';
import { presetIds } from '@waybill/shared/providers/presets.ts';
import { createTransport, type Transport } from '@waybill/shared/providers/transport.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callChat, callEmbeddings, timeouts } from '../support/fake-providers/call-provider.ts';
import {
  type FakeProviders,
  type Fault,
  fakeProviders,
  type Reply,
  startFakeProviders,
} from '../support/fake-providers/server.ts';
import { says } from '../support/fake-providers/wire.ts';

let fakes: FakeProviders;
let transport: Transport;
beforeAll(async () => {
  fakes = await startFakeProviders();
  transport = createTransport({ connections: 8, connectMs: 2_000 });
});
afterAll(() => Promise.all([fakes.stop(), transport.close()]));

const ask = { messages: [{ role: 'user', content: 'Hi' }] };
const said = says('A text that is long enough to be cut in the middle of it.', { usage: { input: 20, output: 14 } });
type Kind = Failure['kind'];
type Row = readonly [title: string, reply: Reply, stream: boolean, kinds: readonly Kind[]];

const breaks = (fault: Fault): Reply => ({ kind: 'breaks', said, fault });
const raw = (body: string | Buffer, type = 'application/json', headers = {}): Reply => ({
  kind: 'raw',
  body,
  headers: { 'content-type': type, ...headers },
});
const gzip = { 'content-encoding': 'gzip' };
const bomb = gzipSync(Buffer.alloc(48 * 1024 * 1024, 32));
const events = 'text/event-stream';

const rows: readonly Row[] = [
  ['is cut off', breaks('cut'), false, ['stream_interrupted']],
  ['is cut off while it streams', breaks('cut'), true, ['stream_interrupted']],
  ['ends in the middle', breaks('ends'), false, ['stream_interrupted']],
  ['ends in the middle while it streams', breaks('ends'), true, ['stream_interrupted']],
  ['never says that it has ended', breaks('no_end'), true, ['stream_interrupted']],
  ['tells an overload while it streams', breaks('error'), true, ['overloaded', 'server_error']],
  ['falls silent', breaks('stall'), false, ['timeout']],
  ['falls silent while it streams', breaks('stall'), true, ['timeout']],
  ['never begins', breaks('hang'), false, ['timeout']],
  ['is refused a connection that lasts', breaks('reset'), false, ['network']],
  ['is no JSON', raw('{"id": nope}'), false, ['bad_output']],
  ['is no JSON, where a stream was asked for', raw('{"id": nope}'), true, ['bad_output']],
  ['is nothing', raw(''), false, ['stream_interrupted', 'bad_output']],
  ['is nothing, where a stream was asked for', raw('', events), true, ['stream_interrupted', 'bad_output']],
  ['is null', raw('null'), false, ['bad_output']],
  ['is a list', raw('[]'), false, ['bad_output', 'stream_interrupted']],
  ['is a text', raw('"Hi"'), false, ['bad_output']],
  ['is an empty object', raw('{}'), false, ['bad_output']],
  ['is too deep', raw('['.repeat(5_000) + ']'.repeat(5_000)), false, ['bad_output']],
  [
    'has fields of all the wrong types',
    raw(
      '{"choices":[{"message":7,"delta":[]}],"content":{"a":1},"candidates":"x","message":[3],"usage":[],"done":"yes"}',
    ),
    false,
    ['bad_output', 'stream_interrupted'],
  ],
  ['is a page', raw('<html></html>', 'text/html'), false, ['config']],
  ['is a page, where a stream was asked for', raw('<html></html>', 'text/html'), true, ['config']],
  [
    'is packed, though nobody asked',
    raw(gzipSync('{"choices":[]}'), 'application/json', gzip),
    false,
    ['bad_output', 'stream_interrupted'],
  ],
  [
    'is packed, where a stream was asked for',
    raw(gzipSync('data: [DONE]\n\n'), events, gzip),
    true,
    ['bad_output', 'stream_interrupted'],
  ],
  ['is packed a thousandfold', raw(bomb, 'application/json', gzip), false, ['bad_output', 'stream_interrupted']],
  [
    'is a stream of what nobody knows',
    raw('data: {"type":"tomorrow"}\n\ndata: 7\n\ndata: [DONE]\n\n', events),
    true,
    ['bad_output', 'stream_interrupted'],
  ],
];

/** One of the two waits is short, so that the test is. */
const short = { ...timeouts, firstByteMs: 400, idleMs: 400 };

// Side by side: what falls silent is waited for.
describe.concurrent.for(presetIds)('%s', (id) => {
  test.for(rows)('an answer that %s', async ([, reply, stream, kinds]) => {
    const line = fakes.open(id, reply);
    const isSlow = reply.kind === 'breaks' && ['stall', 'hang'].includes(reply.fault);
    const outcome = await callChat(transport, id, line.endpoint, ask, {
      stream,
      ...(isSlow ? { timeouts: short } : {}),
    });
    expect(line.seen).toHaveLength(1);
    if (outcome.kind !== 'called' || outcome.result.kind !== 'failure') throw new Error(JSON.stringify(outcome));
    expect(kinds).toContain(outcome.result.failure.kind);
    expect(outcome.result.meta.isSent).toBe(true);
    // What had come is kept, and what was told is no more than that.
    const told = outcome.pieces.map((piece) => ('text' in piece ? piece.text : '')).join('');
    expect(said.text.startsWith(told)).toBe(true);
    if (stream && reply.kind === 'breaks') expect(outcome.result.partial?.text).toBe(told);
  });

  test.for([false, true])('an error inside an answer of status 200 is a failure (streamed: %s)', async (stream) => {
    const body = fakeProviders[id]?.error(503, 'The server is overloaded', null, null);
    const line = fakes.open(id, { kind: 'refuses', status: 200, body });
    const outcome = await callChat(transport, id, line.endpoint, ask, { stream });
    expect(outcome).toMatchObject({ result: { kind: 'failure', failure: { httpStatus: 200 } } });
    expect(line.seen).toHaveLength(1);
  });

  test('an answer that comes whole, though a stream was asked for, is read', async () => {
    const line = fakes.open(id, { kind: 'says', said, isWhole: true });
    const outcome = await callChat(transport, id, line.endpoint, ask, { stream: true });
    expect(outcome).toMatchObject({ result: { kind: 'answer', answer: { text: said.text } } });
    expect(line.seen).toHaveLength(1);
  });

  test('vectors that are missing, mixed up or no numbers are a failure', async () => {
    const bodies = [
      '{}',
      '{"data":[],"embeddings":[]}',
      '{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}],"embeddings":[[1]]}',
      '{"data":[{"index":0,"embedding":["a"]},{"index":1,"embedding":[null]}],"embeddings":[["a"],[null]]}',
    ];
    for (const body of bodies) {
      const line = fakes.open(id, raw(body));
      const outcome = await callEmbeddings(transport, id, line.endpoint, { input: ['a', 'b'] });
      if (outcome.kind === 'cannot') continue;
      expect([body, outcome.result.kind]).toEqual([body, 'failure']);
      expect(line.seen).toHaveLength(1);
    }
  });
});

import { expect, test } from 'vitest';
import type { Signal } from './coordination.ts';
import { createSignals, type Signals } from './signals.ts';

interface Peer extends Signals {
  readonly packets: string[];
  readonly heard: Signal[];
  readonly faults: Error[];
  /** When the packets of this turn of the event loop are sent. */
  sent(): Promise<void>;
}

function startPeer(origin: string, send: (packet: string) => Promise<void> = () => Promise.resolve()): Peer {
  const packets: string[] = [];
  const faults: Error[] = [];
  const wire = {
    send: (packet: string) => {
      packets.push(packet);
      return send(packet);
    },
  };
  const signals = createSignals(origin, wire, (error) => faults.push(error));
  const heard: Signal[] = [];
  signals.subscribe((signal) => heard.push(signal));
  return { ...signals, packets, heard, faults, sent: () => new Promise((resolve) => setImmediate(resolve)) };
}

const cancel = (n: number): Signal => ({ type: 'cancel', jobId: `job_${n}` });
const signalsOf = (packet: string | undefined) => (JSON.parse(packet ?? '{}') as { signals: Signal[] }).signals;

test('a signal is told at home at once, and to the others in one packet per turn', async () => {
  const peer = startPeer('a');
  peer.publish({ type: 'work' });
  peer.publish(cancel(1));
  expect(peer.heard).toEqual([{ type: 'work' }, cancel(1)]);
  expect(peer.packets).toEqual([]);
  await peer.sent();
  expect(peer.packets.map(signalsOf)).toEqual([[{ type: 'work' }, cancel(1)]]);
  peer.publish(cancel(2));
  await peer.sent();
  expect(peer.packets.slice(1).map(signalsOf)).toEqual([[cancel(2)]]);
});

test('the same thing twice in one turn is sent once', async () => {
  const peer = startPeer('a');
  for (let n = 0; n < 50; n += 1) peer.publish({ type: 'work' });
  await peer.sent();
  expect(peer.heard).toHaveLength(50);
  expect(peer.packets.map(signalsOf)).toEqual([[{ type: 'work' }]]);
});

test('a packet stays below what NOTIFY takes, and none of many signals is lost', async () => {
  const peer = startPeer('ffffffff-ffff-ffff-ffff-ffffffffffff');
  const jobIds = Array.from({ length: 500 }, (_, n) => `job_${n.toString(16).padStart(32, '0')}`);
  for (const jobId of jobIds) peer.publish({ type: 'cancel', jobId });
  for (let n = 0; n < 10; n += 1) await peer.sent();
  expect(Math.max(...peer.packets.map((packet) => Buffer.byteLength(packet)))).toBeLessThan(8_000);
  expect(peer.packets.flatMap(signalsOf)).toEqual(jobIds.map((jobId) => ({ type: 'cancel', jobId })));
});

test('more than the wire can take in one turn is told at home only', async () => {
  const peer = startPeer('a');
  for (let n = 0; n < 2_500; n += 1) peer.publish(cancel(n));
  for (let n = 0; n < 100; n += 1) await peer.sent();
  expect(peer.heard).toHaveLength(2_500);
  expect(peer.packets.flatMap(signalsOf)).toHaveLength(2_000);
});

test('a wire that is down is reported, and does not keep later signals', async () => {
  let isDown = true;
  const peer = startPeer('a', async () => {
    if (isDown) throw new Error('no connection');
  });
  peer.publish(cancel(1));
  await peer.sent();
  expect(peer.faults.map(({ message }) => message)).toEqual(['no connection']);
  isDown = false;
  peer.publish(cancel(2));
  await peer.sent();
  expect(peer.packets.map(signalsOf).at(-1)).toEqual([cancel(2)]);
  expect(peer.faults).toHaveLength(1);
});

test("another's packet is told here, and is not sent on; one's own is ignored", async () => {
  const [a, b] = [startPeer('a'), startPeer('b')];
  a.publish(cancel(1));
  await a.sent();
  const packet = a.packets[0] ?? '';
  a.receive(packet);
  b.receive(packet);
  await b.sent();
  expect(a.heard).toEqual([cancel(1)]);
  expect(b.heard).toEqual([cancel(1)]);
  expect(b.packets).toEqual([]);
});

test.for<[string, unknown]>([
  ['no JSON', '{'],
  ['no packet', { signals: [cancel(1)] }],
  ['a list', []],
  ['null', null],
  ['no list of signals', { from: 'b', signals: 'many' }],
])('%s is ignored', ([, packet]) => {
  const peer = startPeer('a');
  peer.receive(typeof packet === 'string' ? packet : JSON.stringify(packet));
  expect(peer.heard).toEqual([]);
});

test('of a packet of another version, the signals known here are told', () => {
  const peer = startPeer('a');
  const signals = [{ type: 'of_later', x: 1 }, { type: 'cancel' }, null, { type: 'work', more: true }];
  peer.receive(JSON.stringify({ from: 'b', signals }));
  expect(peer.heard).toEqual([{ type: 'work' }]);
});

test('a process that is alone has no wire, and who unsubscribed hears nothing', () => {
  const signals = createSignals('a', null, () => undefined);
  const heard: Signal[] = [];
  const unsubscribe = signals.subscribe((signal) => heard.push(signal));
  signals.publish({ type: 'work' });
  unsubscribe();
  signals.publish(cancel(1));
  expect(heard).toEqual([{ type: 'work' }]);
});

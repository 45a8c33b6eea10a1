import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import type { Coordination, PermitAnswer, PermitRequest, Signal } from '@waybill/shared/coordination/coordination.ts';
import type { Epochs } from '@waybill/shared/coordination/epochs.ts';
import { expect, test } from 'vitest';
import { takePermit } from './permit.ts';

const parsed = parseEnvironment({});
if (parsed.kind === 'faults') throw new Error('the empty environment is valid');
const settings = settingsOf(
  {
    providers: {
      p: {
        preset: 'openai-compatible',
        base_url: 'http://127.0.0.1:1/v1',
        limits: { concurrency: 7 },
        models: { small: { limits: { concurrency: 3 } } },
      },
    },
  },
  parsed.environment,
  'the test',
);
const provider = settings.providers.p;
if (!provider) throw new Error('the provider is configured');

const go: PermitAnswer = { kind: 'go' };
const wait: PermitAnswer = { kind: 'wait', reason: 'concurrency', retryAfterMs: null };
const epochLost: PermitAnswer = { kind: 'epoch_lost' };

/** A store that gives these answers in turn, the last one for ever. */
function startStore(...answers: readonly [PermitAnswer, ...PermitAnswer[]]) {
  const asked: PermitRequest[] = [];
  const lost: string[] = [];
  const listeners = new Set<(signal: Signal) => void>();
  let epoch = 1;
  const coordination = {
    async takePermit(request: PermitRequest) {
      asked.push(request);
      return answers[Math.min(asked.length, answers.length) - 1] ?? wait;
    },
    subscribe(listener: (signal: Signal) => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  } as unknown as Coordination;
  const epochs: Pick<Epochs, 'of' | 'lost'> = {
    of: async (id) => `${id} ${epoch}`,
    lost(id, old) {
      lost.push(old);
      if (old === `${id} ${epoch}`) epoch += 1;
    },
  };
  const abort = new AbortController();
  const take = (target = 'p/m') =>
    takePermit(target, provider as never, abort.signal, { coordination, epochs: epochs as Epochs });
  const tell = (signal: Signal) => {
    for (const listener of listeners) listener(signal);
  };
  return { asked, lost, listeners, take, tell, abort };
}

test('a free place is taken with the limit of the model, in the epoch of the provider', async () => {
  const store = startStore(go);
  expect(await store.take('p/small')).toEqual({
    token: expect.any(String),
    target: 'p/small',
    epoch: 'p 1',
    limits: { concurrency: 3 },
  });
  expect(await store.take('p/m')).toMatchObject({ limits: { concurrency: 7 } });
  expect(new Set(store.asked.map(({ token }) => token)).size).toBe(2);
});

test('a place that comes free is asked for as soon as that is told, under a new token', async () => {
  const store = startStore({ ...wait, retryAfterMs: 3_600_000 }, go);
  const taking = store.take();
  while (store.listeners.size === 0) await new Promise((resolve) => setImmediate(resolve));
  store.tell({ type: 'work' });
  store.tell({ type: 'permit_freed', target: 'p/other' });
  expect(store.asked).toHaveLength(1);
  store.tell({ type: 'permit_freed', target: 'p/m' });
  const permit = await taking;
  expect(permit?.token).toBe(store.asked[1]?.token);
  expect(store.asked[0]?.token).not.toBe(permit?.token);
  expect(store.listeners.size).toBe(0);
});

test('a store that lost its epoch is asked again with the one that was agreed on then', async () => {
  const store = startStore(epochLost, epochLost, go);
  expect(await store.take()).toMatchObject({ epoch: 'p 3' });
  expect(store.lost).toEqual(['p 1', 'p 2']);
});

test('when nothing comes free for a while, the slot is left to others', async () => {
  const store = startStore({ ...wait, retryAfterMs: 1 });
  expect(await store.take()).toBeNull();
  expect(store.asked.length).toBeGreaterThan(1);
});

test('an entry that is given up waits no longer', async () => {
  const store = startStore({ ...wait, retryAfterMs: 3_600_000 });
  const taking = store.take();
  while (store.listeners.size === 0) await new Promise((resolve) => setImmediate(resolve));
  store.abort.abort();
  expect(await taking).toBeNull();
  expect(store.listeners.size).toBe(0);
});

/** What coordination promises about pauses, charges and signals, the same on every store it can be on. */
import type { Charge, Coordination, Signal } from '@waybill/shared/coordination/coordination.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CoordinationUnderTest, callEnd, coordinationsUnderTest } from '../support/coordination-under-test.ts';
import { eventually } from '../support/waybill.ts';

describe.each(coordinationsUnderTest)('coordination on $name', ({ start, isAlone }) => {
  let store: CoordinationUnderTest;
  /** Two processes. */
  let here: Coordination;
  let there: Coordination;
  let provider: string;
  let target: string;

  beforeAll(async () => {
    store = await start();
    console.info(`The coordination under test: ${store.source}`);
    here = await store.open();
    there = await store.open();
  }, 120_000);
  afterAll(() => store.stop());
  beforeEach(() => {
    provider = store.newProvider();
    target = `${provider}/a-model`;
  });

  describe('pauses', () => {
    const hour = 3_600_000;

    it('last until the later of two deadlines, and are seen by the other process', async () => {
      const untilMs = Date.now() + 2 * hour;
      await here.pause(`model:${target}`, 'rate_limit', untilMs);
      await there.pause(`model:${target}`, 'rate_limit', untilMs - hour);
      expect((await there.fleetState()).pauses.get(`model:${target}`)).toEqual({ kind: 'rate_limit', untilMs });
      await there.pause(`model:${target}`, 'quota_period', untilMs + hour);
      for (const process of [here, there])
        expect((await process.fleetState()).pauses.get(`model:${target}`)).toEqual({
          kind: 'quota_period',
          untilMs: untilMs + hour,
        });
    });

    it('of a model, of an account, of a credential and of another provider do not meet', async () => {
      const other = store.newProvider();
      const untilMs = Date.now() + hour;
      const scopes = [
        `model:${target}`,
        `model:${provider}/vendor/b-model`,
        `account:${provider}/main`,
        `account_model:${provider}/main/a-model`,
        `credential:${provider}/KEY#0`,
        `credential:${other}/KEY#0`,
      ];
      await Promise.all(scopes.map((scope, n) => here.pause(scope, `kind_${n}`, untilMs + n)));
      const { pauses } = await there.fleetState();
      expect(scopes.map((scope) => pauses.get(scope))).toEqual(
        scopes.map((_, n) => ({ kind: `kind_${n}`, untilMs: untilMs + n })),
      );
    });

    it('that are over are forgotten', async () => {
      await here.pause(`model:${target}`, 'rate_limit', Date.now() - 1_000);
      await here.pause(`credential:${provider}/KEY#0`, 'rate_limit', Date.now() + 150);
      expect((await there.fleetState()).pauses.has(`model:${target}`)).toBe(false);
      await eventually(
        async () => (await there.fleetState()).pauses.has(`credential:${provider}/KEY#0`),
        (isThere) => !isThere,
      );
      const untilMs = Date.now() + hour;
      await there.pause(`model:${target}`, 'overloaded', untilMs);
      expect((await here.fleetState()).pauses.get(`model:${target}`)).toEqual({ kind: 'overloaded', untilMs });
    });

    it('tell that they are new to who began them, and to nobody who joined them', async () => {
      const scope = `account:${provider}/main`;
      const untilMs = Date.now() + hour;
      expect(await here.pause(scope, 'billing', untilMs)).toBe(true);
      expect(await here.pause(scope, 'billing', untilMs)).toBe(false);
      expect(await there.pause(scope, 'billing', untilMs - 1)).toBe(false);
      expect(await there.pause(scope, 'billing', untilMs + hour)).toBe(false);
      expect((await here.fleetState()).pauses.get(scope)?.untilMs).toBe(untilMs + hour);
    });

    it('tell it to one of many that begin the same at once', async () => {
      const untilMs = Date.now() + hour;
      for (let round = 0; round < 10; round++) {
        const scope = `credential:${provider}/KEY#${round}`;
        const told = await Promise.all(
          Array.from({ length: 12 }, (_, n) => (n % 2 ? here : there).pause(scope, 'auth', untilMs)),
        );
        expect(told.filter((isNew) => isNew)).toHaveLength(1);
      }
    });

    it('that are over are new when they begin again', async () => {
      const scope = `account:${provider}/main`;
      expect(await here.pause(scope, 'billing', Date.now() - 1_000)).toBe(true);
      expect(await there.pause(scope, 'billing', Date.now() + hour)).toBe(true);
    });

    it('end before their time when they are ended, and not twice', async () => {
      const scope = `provider:${provider}`;
      await here.pause(scope, 'region', Date.now() + hour);
      await here.pause(`model:${target}`, 'permission', Date.now() + hour);
      expect(await there.resume(scope)).toBe(true);
      expect((await here.fleetState()).pauses.has(scope)).toBe(false);
      expect((await here.fleetState()).pauses.has(`model:${target}`)).toBe(true);
      expect(await here.resume(scope)).toBe(false);
      expect(await here.pause(scope, 'region', Date.now() + hour)).toBe(true);
    });

    it('take a deadline between two milliseconds', async () => {
      const untilMs = Date.now() + hour;
      await here.pause(`model:${target}`, 'rate_limit', untilMs + 0.4);
      expect((await there.fleetState()).pauses.get(`model:${target}`)?.untilMs).toBe(untilMs);
    });
  });

  describe('charges', () => {
    const keyOf = ({ target: of, tenantId, why }: Charge) => `${of} ${tenantId} ${why}`;
    const mine = (charges: readonly Charge[]) =>
      charges
        .filter((charge) => charge.target.startsWith(`${provider}/`))
        .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));

    it('and what settled calls used add up by target and tenant', async () => {
      await here.restore(provider, 'epoch-1', []);
      const other = `${provider}/vendor/b-model`;
      await Promise.all([
        here.charge({ target, tenantId: 'ten_1', tokens: 100 }),
        there.charge({ target, tenantId: 'ten_1', tokens: 50.4 }),
        there.charge({ target, tenantId: 'ten_2', tokens: 7 }),
        here.charge({ target: other, tenantId: 'ten_1', tokens: 1 }),
      ]);
      const end = { ...callEnd, target, place: 'default' };
      await Promise.all([
        here.settlePermit({ ...end, token: 'a', estimated: 100, used: 70 }),
        here.settlePermit({ ...end, token: 'b', estimated: 10, used: 15 }),
        there.settlePermit({ ...end, token: 'c', estimated: 8, used: 0 }),
      ]);
      expect(mine(await there.takeCharges())).toEqual([
        { target, tenantId: 'ten_1', tokens: 150, why: 'added' },
        { target, tenantId: 'ten_1', tokens: 118, why: 'estimated' },
        { target, tenantId: 'ten_1', tokens: 85, why: 'used' },
        { target, tenantId: 'ten_2', tokens: 7, why: 'added' },
        { target: other, tenantId: 'ten_1', tokens: 1, why: 'added' },
      ]);
      expect(mine(await here.takeCharges())).toEqual([]);
    });

    it('are taken once, also when two processes take them while they come in', async () => {
      const taken: Charge[] = [];
      const charging = Array.from({ length: 100 }, (_, n) =>
        (n % 2 ? here : there).charge({ target, tenantId: `ten_${n % 3}`, tokens: 3 }),
      );
      const taking = Array.from({ length: 10 }, async (_, n) => {
        taken.push(...(await (n % 2 ? here : there).takeCharges()));
      });
      await Promise.all([...charging, ...taking]);
      taken.push(...(await here.takeCharges()));
      expect(mine(taken).reduce((sum, { tokens }) => sum + tokens, 0)).toBe(300);
    });
  });

  describe('signals', () => {
    const everyType: readonly Signal[] = [
      { type: 'cancel', jobId: 'job_1' },
      { type: 'final', jobId: 'job_1' },
      { type: 'work' },
      { type: 'permit_freed', target: 'a/b' },
      { type: 'configuration_changed', version: 'v2' },
    ];
    const listen = (process: Coordination) => {
      const heard: Signal[] = [];
      return { heard, stop: process.subscribe((signal) => void heard.push(signal)) };
    };
    /** What was published before this has arrived when this has. */
    let fences = 0;
    const throughTheWire = async (heard: readonly Signal[]) => {
      const fence: Signal = { type: 'final', jobId: `fence-${fences++}` };
      here.publish(fence);
      const isFence = (signal: Signal) => signal.type === 'final' && signal.jobId === fence.jobId;
      await eventually(
        () => heard.some(isFence),
        (isThere) => isThere,
        10_000,
      );
      return heard.filter((signal) => !(signal.type === 'final' && signal.jobId.startsWith('fence-')));
    };

    /** The nodes of a Cluster pass packets on in no order. */
    const whenAllHeard = async (heard: readonly Signal[], sent: readonly Signal[]) => {
      const inOrder = (signals: readonly Signal[]) => signals.map((signal) => JSON.stringify(signal)).sort();
      await eventually(
        () => heard.length,
        (length) => length >= sent.length,
        10_000,
      );
      expect(inOrder(heard)).toEqual(inOrder(sent));
    };

    it.each(everyType)('of type $type are heard at home at once, and by the others soon', async (signal) => {
      const [home, away] = [listen(here), listen(there)];
      here.publish(signal);
      expect(home.heard).toEqual([signal]);
      expect(await throughTheWire(away.heard)).toEqual([signal]);
      // Its own packet comes back, and is not told a second time: only what marks the end was heard beside it.
      expect(home.heard).toHaveLength(2);
      home.stop();
      away.stop();
    });

    it('of one tick that say the same reach the others once', async () => {
      const away = listen(there);
      for (let n = 0; n < 20; n++) here.publish({ type: 'permit_freed', target });
      for (let n = 0; n < 20; n++) here.publish({ type: 'work' });
      const heard = await throughTheWire(away.heard);
      // Alone, the listener is at home, where each is told.
      const expected = isAlone ? 20 : 1;
      expect(heard.filter(({ type }) => type === 'permit_freed')).toHaveLength(expected);
      expect(heard.filter(({ type }) => type === 'work')).toHaveLength(expected);
      away.stop();
    });

    it('all arrive when 500 are published in one tick', async () => {
      const away = listen(there);
      const sent = Array.from(
        { length: 500 },
        (_, n): Signal => ({ type: 'cancel', jobId: `job_${String(n).padStart(32, '0')}` }),
      );
      for (const signal of sent) here.publish(signal);
      await whenAllHeard(away.heard, sent);
      away.stop();
    });

    it('all arrive when many long ones are published in one tick', async () => {
      const away = listen(there);
      const sent = Array.from({ length: 120 }, (_, n): Signal => {
        const model = `meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8-Original-${String(n).padStart(20, '0')}`;
        return { type: 'permit_freed', target: `${provider}/${model}` };
      });
      for (const signal of sent) here.publish(signal);
      await whenAllHeard(away.heard, sent);
      away.stop();
    });

    it('that are no packets, or of a kind nobody knows, are ignored, and the next one is heard', async () => {
      const away = listen(there);
      const known: Signal = { type: 'cancel', jobId: 'job_known' };
      const packets = [
        'not JSON',
        '',
        'null',
        '[]',
        '{"from":"someone"}',
        '{"from":"someone","signals":"none"}',
        '{"from":1,"signals":[]}',
        JSON.stringify({
          from: 'someone',
          signals: [
            { type: 'of tomorrow', jobId: 'job_1' },
            null,
            7,
            { type: 'cancel' },
            { type: 'cancel', jobId: 9 },
            known,
          ],
        }),
      ];
      for (const packet of packets) await store.sendRaw(packet);
      await eventually(
        () => away.heard,
        ({ length }) => length > 0,
        10_000,
      );
      expect(await throughTheWire(away.heard)).toEqual([known]);
      away.stop();
    });

    it('are not heard by who unsubscribed', async () => {
      const [away, control] = [listen(there), listen(there)];
      away.stop();
      here.publish({ type: 'work' });
      await throughTheWire(control.heard);
      expect(away.heard).toEqual([]);
      control.stop();
    });
  });

  it('leaves no connection open when it is closed', async () => {
    const sockets = () => process.getActiveResourcesInfo().filter((kind) => /TCP|TLS/.test(kind)).length;
    const before = sockets();
    const opened = await store.open();
    await opened.restore(provider, 'epoch-1', []);
    await opened.fleetState();
    if (!isAlone) expect(sockets()).toBeGreaterThan(before);
    await opened.close();
    await eventually(sockets, (open) => open <= before, 5_000);
    await opened.close();
  });
});

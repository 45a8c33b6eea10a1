import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  agedAfterMs,
  agedEvery,
  charge,
  freshShare,
  type ShareState,
  shareOut,
  type TenantLine,
  type WaitingJob,
} from './fair-share.ts';

/** `count` alike jobs with the ids `<name>0`, `<name>1` and so on. */
function jobs(name: string, count: number, change: Partial<WaitingJob> = {}): WaitingJob[] {
  const job = { priority: 1, tokens: 100, waitedMs: 0, ...change };
  return Array.from({ length: count }, (_, index) => ({ ...job, id: `${name}${index}` }));
}
const line = (tenant: string, waiting: readonly WaitingJob[], weight = 1): TenantLine => ({
  ...{ tenant, weight, jobs: waiting },
});
const share = (lines: readonly TenantLine[], room: number, reserved = 0, state: ShareState = freshShare) =>
  shareOut({ state, lines, room, reserved });
const pickedOf = (...input: Parameters<typeof share>) => share(...input).picked.join(' ');

/** A tenant that never runs out: its jobs have these sizes, again and again. */
interface Busy {
  readonly name?: string;
  readonly weight: number;
  readonly sizes: readonly number[];
  readonly priority?: number;
}
type Pick = { readonly tenant: number; readonly tokens: number };

/** Runs endless tenants through rounds with these rooms; unnamed, they are `t0`, `t1` and so on. */
function run(tenants: readonly Busy[], rooms: readonly number[], state: ShareState = freshShare, waitedMs = 0) {
  const done = tenants.map(() => 0);
  const picks: Pick[] = [];
  let current = state;
  for (const room of rooms) {
    const lines = tenants.map(({ name, weight, sizes, priority = 1 }, tenant) => {
      const waiting = jobs('', room, { priority, waitedMs }).map((job, index) => {
        const tokens = sizes[((done[tenant] ?? 0) + index) % sizes.length] ?? 1;
        return { ...job, id: `${tenant}/${tokens}`, tokens };
      });
      return line(name ?? `t${tenant}`, waiting, weight);
    });
    const round = share(lines, room, 0, current);
    for (const id of round.picked) {
      const [tenant = 0, tokens = 1] = id.split('/').map(Number);
      picks.push({ tenant, tokens });
      done[tenant] = (done[tenant] ?? 0) + 1;
    }
    current = round.state;
  }
  return { picks, state: current };
}

type Place = { readonly at: number; readonly weight: number };
/** Over all runs of consecutive picks, the most by which the tokens per weight of two tenants differ. */
function shareError(picks: readonly Pick[], one: Place, other: Place) {
  let [difference, least, most] = [0, 0, 0];
  for (const { tenant, tokens } of picks) {
    if (tenant === one.at) difference += tokens / one.weight;
    if (tenant === other.at) difference -= tokens / other.weight;
    least = Math.min(least, difference);
    most = Math.max(most, difference);
  }
  return most - least;
}

function expectFairShares(tenants: readonly Busy[], picks: readonly Pick[]) {
  const largest = ({ sizes, weight }: Busy) => Math.max(...sizes) / weight;
  for (const [at, one] of tenants.entries()) {
    for (const [before, other] of tenants.slice(0, at).entries()) {
      if ((one.priority ?? 1) !== (other.priority ?? 1)) continue;
      const error = shareError(picks, { at, weight: one.weight }, { at: before, weight: other.weight });
      expect(error).toBeLessThanOrEqual((largest(one) + largest(other)) * (1 + 1e-9));
    }
  }
}

const priorities = fc.integer({ min: 0, max: 2 });
const sizes = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 10_000_000 }));
const busy: fc.Arbitrary<Busy> = fc.record({
  weight: fc.integer({ min: 1, max: 10 }),
  sizes: fc.array(sizes, { minLength: 1, maxLength: 7 }),
});
const busyTenants = fc.array(busy, { minLength: 2, maxLength: 6 });
const rooms = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 15 });

const waitingJobs = fc.array(
  fc.record({ priority: priorities, tokens: fc.oneof(fc.nat(3), fc.nat(10_000_000)), waitedMs: fc.nat(60_000) }),
  { maxLength: 12 },
);
const backlogs = fc.array(fc.tuple(fc.integer({ min: 1, max: 1_000 }), waitingJobs), { maxLength: 8 }).map((tenants) =>
  tenants.map(([weight, waiting], at) => {
    const named = waiting.map((job, index) => ({ ...job, id: `${at}/${index}` }));
    return line(`t${at}`, named, weight);
  }),
);
const statesFrom = (least: number) =>
  fc
    .dictionary(fc.constantFrom('t0', 't1', 't2', 't7', 'gone'), fc.integer({ min: least, max: 20_000_000 }))
    .map((used) => Object.entries(used).reduce((state, [name, tokens]) => charge(state, name, tokens), freshShare));
const inputs = fc.record({
  state: statesFrom(-20_000_000),
  lines: backlogs,
  room: fc.integer({ min: -2, max: 60 }),
  reserved: fc.integer({ min: -2, max: 60 }),
});

const always = <T>(title: string, input: fc.Arbitrary<T>, check: (input: T) => void) =>
  test(title, () => fc.assert(fc.property(input, check), { numRuns: 200 }));

describe('the room', () => {
  const backlog = [line('a', [...jobs('i', 2, { priority: 0 }), ...jobs('n', 4), ...jobs('b', 4, { priority: 2 })])];
  test.for([
    ['goes to all classes, the highest first', 8, 0, 'i0 i1 n0 n1 n2 n3 b0 b1'],
    ['is not used up when all jobs are in', 20, 0, 'i0 i1 n0 n1 n2 n3 b0 b1 b2 b3'],
    ['is shared with interactive jobs beyond the reserved part only', 6, 5, 'i0 i1 n0'],
    ['counts the interactive jobs as part of the reserve', 6, 2, 'i0 i1 n0 n1 n2 n3'],
    ['is for interactive jobs alone when all of it is reserved', 6, 6, 'i0 i1'],
    ['is for interactive jobs alone when more than all is reserved', 6, 60, 'i0 i1'],
    ['is not enlarged by a negative reserve', 3, -5, 'i0 i1 n0'],
    ['may be none', 0, 0, ''],
    ['may be less than none', -3, -9, ''],
  ] as const)('%s', ([, room, reserved, expected]) => {
    expect(pickedOf(backlog, room, reserved)).toBe(expected);
  });

  test('takes a priority that is unknown for the nearest class', () => {
    const waiting = [...jobs('c', 1, { priority: 9 }), ...jobs('b', 1), ...jobs('a', 1, { priority: -1 })];
    expect(pickedOf([line('a', waiting)], 9)).toBe('a0 b0 c0');
  });

  always('is never left unused while a job that may use it waits', inputs, ({ state, lines, room, reserved }) => {
    const all = lines.flatMap((each) => each.jobs);
    const { picked } = share(lines, room, reserved, state);
    const others = new Set(all.filter(({ priority }) => priority > 0).map(({ id }) => id));
    const openRoom = Math.max(0, room - Math.max(0, reserved));
    const usable = all.length - others.size + Math.min(others.size, openRoom);
    expect(new Set(picked).size).toBe(picked.length);
    expect(picked.length).toBe(Math.max(0, Math.min(room, usable)));
    expect(picked.filter((id) => others.has(id)).length).toBeLessThanOrEqual(openRoom);
  });

  always('is filled in the given order within a tenant and class', inputs, ({ state, lines, room, reserved }) => {
    const { picked } = share(lines, room, reserved, state);
    for (const { jobs: waiting } of lines) {
      for (const priority of [0, 1, 2]) {
        const given = waiting.filter((job) => job.priority === priority).map(({ id }) => id);
        const taken = picked.filter((id) => given.includes(id));
        expect(taken).toEqual(given.slice(0, taken.length));
      }
    }
  });

  // A credit is cut down to the next job's size in every call, so only debts are alike in any portions.
  const withoutCredit = fc.record({ start: statesFrom(0), lines: backlogs, room: fc.nat(40) });
  always('may come in any portions: the picks are the same', withoutCredit, ({ start, lines, room }) => {
    const picked: string[] = [];
    let state = start;
    for (let n = 0; n < room; n += 1) {
      const rest = lines.map((each) => ({ ...each, jobs: each.jobs.filter(({ id }) => !picked.includes(id)) }));
      const round = share(rest, 1, 0, state);
      picked.push(...round.picked);
      state = round.state;
    }
    expect(picked).toEqual(share(lines, room, 0, start).picked);
  });

  always('does not depend on the order of the tenants', inputs, ({ state, lines, room, reserved }) => {
    expect(share(lines.toReversed(), room, reserved, state)).toEqual(share(lines, room, reserved, state));
  });
});

describe('shares', () => {
  test.for([
    ['alternate between equals', [1, 1], [100, 100], 'a0 b0 a1 b1 a2 b2'],
    ['follow the weights, spread out', [1, 3], [100, 100], 'a0 b0 b1 b2 a1 b3'],
    ['are in tokens, not in jobs', [1, 1], [300, 100], 'a0 b0 b1 b2 a1 b3'],
    ['take no tokens for one', [1, 1], [0, 1], 'a0 b0 a1 b1 a2 b2'],
    ['take a negative estimate for one', [1, 1], [-5, 1], 'a0 b0 a1 b1 a2 b2'],
    ['take an unknown estimate for one', [1, 1], [Number.NaN, 1], 'a0 b0 a1 b1 a2 b2'],
    ['are not spoilt by an infinite estimate', [1, 1], [Number.POSITIVE_INFINITY, 1], 'a0 b0 b1 b2 b3 b4'],
    ['are not spoilt by a weight of zero', [0, 1], [100, 100], 'a0 b0 b1 b2 b3 b4'],
  ] as const)('%s', ([, [weightA, weightB], [sizeA, sizeB], expected]) => {
    const lines = [
      line('a', jobs('a', 6, { tokens: sizeA }), weightA),
      line('b', jobs('b', 6, { tokens: sizeB }), weightB),
    ];
    expect(pickedOf(lines, 6)).toBe(expected);
  });

  always(
    'differ by one job of each tenant in any run of picks',
    fc.tuple(busyTenants, rooms),
    ([tenants, portions]) => {
      expectFairShares(tenants, run(tenants, portions).picks);
    },
  );

  const mixed = fc.array(
    fc.tuple(busy, priorities).map(([tenant, priority]) => ({ ...tenant, priority })),
    { minLength: 3, maxLength: 7 },
  );
  always('of one class hold whatever the other classes do', fc.tuple(mixed, rooms), ([tenants, portions]) => {
    expectFairShares(tenants, run(tenants, portions, freshShare, agedAfterMs).picks);
  });

  const portionings = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 10, maxLength: 10 });
  test.for(['1:1', '1:3', '2:3:5', '1:10', '1000:1000:500'])('of alike jobs are as %s in any thousand', (ratio) => {
    const weights = ratio.split(':').map(Number);
    const total = weights.reduce((sum, weight) => sum + weight);
    const tenants = weights.map((weight) => ({ weight, sizes: [700] }));
    const check = (portions: number[]) => {
      const { picks } = run(tenants, Array.from({ length: 150 }, () => portions).flat());
      for (let from = 0; from <= 500; from += 50) {
        const window = picks.slice(from, from + 1_000);
        for (const [at, weight] of weights.entries()) {
          const percent = (100 * window.filter(({ tenant }) => tenant === at).length * total) / weight / 1_000;
          expect(Math.abs(percent - 100)).toBeLessThanOrEqual(5);
        }
      }
    };
    fc.assert(fc.property(portionings, check), { numRuns: 5 });
  });

  test('never make a long burst, however great the weights are', () => {
    const tenants = [1_000, 1_000, 1_000].map((weight) => ({ weight, sizes: [1] }));
    expect(run(tenants, [9]).picks.map(({ tenant }) => tenant)).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
  });

  test('come to the small jobs of two tenants alternately beside a third with a great one', () => {
    const tenants = [{ weight: 1, sizes: [10_000_000] }, ...[1, 1].map((weight) => ({ weight, sizes: [10] }))];
    expect(run(tenants, [9]).picks.map(({ tenant }) => tenant)).toEqual([0, 1, 2, 1, 2, 1, 2, 1, 2]);
  });

  test('are right for a thousand tenants, in a thousand picks, with great jobs', () => {
    const lines = Array.from({ length: 1_000 }, (_, at) =>
      line(`t${at}`, jobs(`${at}/`, 20, { tokens: 1 + ((at * 7_919) % 10_000_000) }), 1 + (at % 1_000)),
    );
    const first = share(lines, 1_000);
    expect(new Set(first.picked.map((id) => id.split('/')[0])).size).toBe(1_000);
    expect(share(lines, 1_000, 0, first.state).picked).toHaveLength(1_000);
  });
});

describe('an account', () => {
  const two = (count: number) => [line('a', jobs('a', count)), line('b', jobs('b', count))];
  test.for([
    ['in debt waits until the others had as much', 'a', 300, 'b0 b1 b2 a0 b3 a1'],
    ['in credit goes on first, in turns', 'a', -200, 'a0 b0 a1 a2 b1 a3'],
    ['keeps no more credit than ten jobs', 'a', -1e15, 'a0 b0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 b1 a11'],
    ['does not mind a correction that is no number', 'a', Number.NaN, 'a0 b0 a1 b1 a2 b2'],
    ['of another tenant does not matter', 'c', 300, 'a0 b0 a1 b1 a2 b2'],
  ] as const)('%s', ([, tenant, tokens, expected]) => {
    const room = expected.split(' ').length;
    expect(pickedOf(two(20), room, 0, charge(freshShare, tenant, tokens))).toBe(expected);
  });

  test('adds its corrections up', () => {
    const state = charge(charge(charge(freshShare, 'a', 300), 'b', 50), 'a', -100);
    expect(Object.fromEntries(state.deficits)).toEqual({ a: -200, b: -50 });
  });

  test('is one over all classes', () => {
    const bulk = share([line('a', jobs('a', 1, { priority: 2, tokens: 300 }))], 1);
    expect(pickedOf(two(6), 6, 0, bulk.state)).toBe('b0 b1 b2 a0 b3 a1');
  });

  test('is paid by what others use in another class', () => {
    const lines = [line('a', jobs('a', 20, { priority: 0 })), line('b', jobs('b', 1))];
    const debts = [7, 8].map((room) => share(lines, room, 0, charge(freshShare, 'b', 650)).state.deficits.get('b'));
    expect(debts).toEqual([-50, 0]);
  });

  test('waits for its turn from call to call', () => {
    const { picked, state } = share(two(1), 1, 0, charge(freshShare, 'a', -500));
    expect([picked.join(' '), pickedOf(two(3), 3, 0, state)]).toEqual(['a0', 'b0 a0 a1']);
  });

  test('loses its credit while the tenant is away', () => {
    const away = share([line('b', jobs('b', 1))], 1, 0, charge(freshShare, 'a', -500)).state;
    expect(away.deficits.has('a')).toBe(false);
    expect(share([line('a', []), line('b', [])], 1, 0, charge(freshShare, 'a', -500)).state.deficits.size).toBe(0);
  });

  test('keeps its debt while the tenant is away and others are served', () => {
    const away = share([line('b', jobs('b', 2))], 2, 0, charge(freshShare, 'a', 500)).state;
    expect(away.deficits.get('a')).toBe(-400);
    expect(pickedOf(two(6), 6, 0, away)).toBe('b0 b1 b2 a0 b3 a1');
  });

  test('pays its debt off while the tenant is away', () => {
    const paid = share([line('b', jobs('b', 9))], 9, 0, charge(freshShare, 'a', 500)).state;
    expect(share(two(6), 0, 0, paid).state.deficits.get('a')).toBe(0);
    expect(share([line('b', jobs('b', 1))], 0, 0, paid).state.deficits.has('a')).toBe(false);
  });

  test('has its debt forgotten when nobody has jobs', () => {
    expect(share([], 5, 0, charge(freshShare, 'a', 500)).state.deficits.size).toBe(0);
  });

  test('is remembered for the last thousand absent tenants only', () => {
    let state = freshShare;
    for (let n = 0; n < 1_200; n += 1) state = share([line(`t${n}`, jobs('a', 1))], 1, 0, state).state;
    expect(state.deficits.size).toBe(1_001);
    expect(state.deficits.has('t1198')).toBe(true);
    expect(state.deficits.has('t198')).toBe(false);
  });

  const arrivals = fc.tuple(busyTenants, rooms, busy, fc.constantFrom('', 't0a', 'z'));
  always('lets a newcomer in within one turn, and not ahead', arrivals, ([others, portions, late, name]) => {
    const tenants = [...others, { ...late, name }];
    const { picks } = run(tenants, [60], run(others, portions).state);
    const first = picks.findIndex(({ tenant }) => tenant === others.length);
    const before = picks.slice(0, first);
    expect(first).toBeGreaterThanOrEqual(0);
    expect(before.length).toBeLessThanOrEqual(others.length);
    expect(new Set(before.map(({ tenant }) => tenant)).size).toBe(before.length);
    expectFairShares(tenants, picks);
  });

  always('outlives a call only as a debt or with jobs', inputs, ({ state, lines, room }) => {
    const present = lines.filter((each) => each.jobs.length > 0).map(({ tenant }) => tenant);
    for (const [tenant, deficit] of share(lines, room, 0, state).state.deficits) {
      expect(Number.isFinite(deficit)).toBe(true);
      if (!present.includes(tenant)) expect(Math.max(deficit, state.deficits.get(tenant) ?? 1)).toBeLessThanOrEqual(0);
    }
  });
});

describe('an aged class', () => {
  const interactive = (count: number) => jobs('i', count, { priority: 0 });
  const old = (name: string, priority: number, waitedMs: number = agedAfterMs, count = 5) =>
    jobs(name, count, { priority, waitedMs });
  const placesOf = (picked: readonly string[], name: string) =>
    picked.flatMap((id, index) => (id.startsWith(name) ? [index] : []));

  test('gets every tenth pick', () => {
    const { picked, state } = share([line('a', [...interactive(60), ...old('b', 2)])], 35);
    expect(placesOf(picked, 'b')).toEqual([9, 19, 29]);
    expect(state.agedCredit).toBe(5);
  });

  test.for([
    ['is aged after exactly thirty seconds', [...old('b', 2, 30_000)], [9, 19, 29]],
    ['is not aged a moment before', [...old('b', 2, 29_999)], []],
    ['is aged by its heads alone', [...old('b', 2, 5, 1), ...old('x', 2)], []],
    ['is no longer aged when its old jobs are gone', [...old('b', 2, agedAfterMs, 1), ...old('b1', 2, 0)], [9]],
  ] as const)('%s', ([, waiting, expected]) => {
    const { picked } = share([line('a', [...interactive(60), ...waiting])], 35);
    expect(placesOf(picked, 'b')).toEqual(expected);
  });

  test('is aged by the oldest of its heads', () => {
    const { picked } = share([line('a', [...interactive(60), ...old('b', 2, 0)]), line('c', old('b', 2))], 15);
    expect(placesOf(picked, 'b')).toHaveLength(1);
  });

  test('takes turns with the other one, the longest waiting first', () => {
    const { picked } = share([line('a', [...interactive(60), ...old('n', 1, 40_000), ...old('b', 2, 50_000)])], 45);
    expect(placesOf(picked, 'b')).toEqual([9, 29]);
    expect(placesOf(picked, 'n')).toEqual([19, 39]);
  });

  test('goes before normal work too', () => {
    expect(placesOf(share([line('a', [...jobs('n', 60), ...old('b', 2)])], 25).picked, 'b')).toEqual([9, 19]);
  });

  test('gets nothing of the reserved room', () => {
    const { picked, state } = share([line('a', [...interactive(60), ...old('b', 2)])], 35, 34);
    expect(placesOf(picked, 'b')).toEqual([9]);
    expect(state.agedCredit).toBe(0);
  });

  const streams = fc.record({
    portions: fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 80, maxLength: 80 }),
    hasNormal: fc.boolean(),
    tokens: sizes,
    debt: fc.nat(10_000_000),
    ahead: fc.nat(3),
  });
  always('starves under no stream of higher work', streams, ({ portions, hasNormal, tokens, debt, ahead }) => {
    const aged = [...(hasNormal ? old('n', 1, 60_000, 50) : []), ...old('b', 2, agedAfterMs, ahead + 1)];
    const bound = agedEvery * (hasNormal ? 2 : 1) * (ahead + 1);
    const picked: string[] = [];
    let state = charge(freshShare, 'b', debt);
    for (const room of [...portions, bound]) {
      const rest = aged.filter(({ id }) => !picked.includes(id)).map((job) => ({ ...job, tokens }));
      const round = share([line('a', interactive(room)), line('b', rest)], room, 0, state);
      picked.push(...round.picked);
      state = round.state;
    }
    expect(picked).toContain(`b${ahead}`);
    expect(picked.indexOf(`b${ahead}`)).toBeLessThan(bound);
  });
});

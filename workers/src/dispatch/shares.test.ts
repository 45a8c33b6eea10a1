import { shareOut } from '@waybill/shared/routing/fair-share.ts';
import { expect, test } from 'vitest';
import { createShares } from './shares.ts';

const target = 'a/m';
const working = new Set([target]);
const job = (id: string) => ({ id, priority: 1, tokens: 100, waitedMs: 0 });

function sharesWithWork() {
  const shares = createShares();
  shares.state(target);
  return shares;
}

test('a factor comes from the calls that ended, and a new tenant starts with that of all', () => {
  const shares = sharesWithWork();
  expect(shares.factor(target, 'ten_a')).toBe(1);
  shares.apply([
    { target, tenantId: 'ten_a', tokens: 10_000, why: 'estimated' },
    { target, tenantId: 'ten_a', tokens: 2_500, why: 'used' },
  ]);
  expect(shares.factor(target, 'ten_a')).toBe(0.25);
  expect(shares.factor(target, 'ten_new')).toBe(0.25);
});

test('an entry that came without the dispatcher is a debt', () => {
  const shares = sharesWithWork();
  shares.apply([{ target, tenantId: 'ten_a', tokens: 150, why: 'added' }]);
  const { picked } = shareOut({
    state: shares.state(target),
    lines: ['ten_a', 'ten_b'].map((tenant) => ({ tenant, weight: 1, jobs: [job(`${tenant}1`), job(`${tenant}2`)] })),
    room: 3,
    reserved: 0,
  });
  expect(picked).toEqual(['ten_b1', 'ten_b2', 'ten_a1']);
});

test('a target without work is forgotten, and charges for it are dropped', () => {
  const shares = sharesWithWork();
  shares.apply([{ target, tenantId: 'ten_a', tokens: 500, why: 'added' }]);
  shares.keep(new Set(), 0);
  shares.apply([{ target, tenantId: 'ten_a', tokens: 500, why: 'added' }]);
  expect(shares.state(target).deficits.size).toBe(0);
});

test('what was learned fades while the target has work', () => {
  const shares = sharesWithWork();
  shares.apply([
    { target, tenantId: 'ten_a', tokens: 600, why: 'estimated' },
    { target, tenantId: 'ten_a', tokens: 60, why: 'used' },
  ]);
  shares.keep(working, 0);
  expect(shares.factor(target, 'ten_a')).toBe(0.1);
  shares.keep(working, 10 * 60_000);
  expect(shares.factor(target, 'ten_a')).toBe(1);
});

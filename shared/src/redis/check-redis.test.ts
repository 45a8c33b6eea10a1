import { expect, test } from 'vitest';
import { checkInfo } from './check-redis.ts';

const good = { redis_version: '7.2.4', maxmemory_policy: 'noeviction', aof_enabled: '1', role: 'master' };
const check = (difference: Record<string, string>) =>
  checkInfo(new Map(Object.entries({ ...good, ...difference })), 'redis://h:6379');

test.for<[string, Record<string, string>]>([
  ['7.2', {}],
  ['6.2', { redis_version: '6.2.0' }],
  ['10.0', { redis_version: '10.0.1' }],
])('version %s that keeps what it is given is taken without a word', ([, difference]) => {
  expect(check(difference)).toEqual([]);
});

test.for<[string, Record<string, string>, RegExp]>([
  ['5.0', { redis_version: '5.0.14' }, /version 5\.0\.14, and 6\.2 is the oldest/],
  ['6.0', { redis_version: '6.0.20' }, /version 6\.0\.20/],
  ['one without a version', { redis_version: '' }, /oldest that works/],
  ['allkeys-lru', { maxmemory_policy: 'allkeys-lru' }, /maxmemory-policy is "allkeys-lru".*"noeviction"/],
  ['volatile-ttl', { maxmemory_policy: 'volatile-ttl' }, /volatile-ttl/],
  ['a replica', { role: 'slave' }, /is a replica/],
])('%s is refused, and says what to change', ([, difference, message]) => {
  expect(() => check(difference)).toThrow(
    expect.objectContaining({ code: 'redis_unsafe', message: expect.stringMatching(message) }),
  );
  expect(() => check(difference)).toThrow(/^Cannot use redis:\/\/h:6379/);
});

test('one that says nothing of itself is refused', () => {
  expect(() => checkInfo(new Map(), 'redis://h')).toThrow(expect.objectContaining({ code: 'redis_unsafe' }));
});

test('one that forgets at a restart is named', () => {
  expect(check({ aof_enabled: '0' })).toEqual([expect.stringMatching(/no append-only file.*"appendonly yes"/)]);
});

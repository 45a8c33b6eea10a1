import { expect, test } from 'vitest';
import { describeRedis, parseRedisAddress, type RedisAddress } from './redis-address.ts';

const single: RedisAddress = {
  kind: 'single',
  hosts: [{ host: 'h', port: 6_379 }],
  isTls: false,
  username: null,
  password: null,
  database: 0,
  master: null,
};
const good = (text: string): RedisAddress => {
  const parsed = parseRedisAddress(text);
  if (parsed.kind === 'fault') throw new Error(parsed.why);
  return parsed.address;
};

test.for<[string, Partial<RedisAddress>]>([
  ['redis://h', {}],
  [' redis://h\n', {}],
  ['REDIS://h', {}],
  ['valkey://h', {}],
  ['redis://h/', {}],
  ['redis://h:6380/3', { hosts: [{ host: 'h', port: 6_380 }], database: 3 }],
  ['rediss://h', { isTls: true }],
  ['redis://[::1]:6380', { hosts: [{ host: '::1', port: 6_380 }] }],
  ['redis://:p%40ss@h', { password: 'p@ss' }],
  ['redis://user@h', { username: 'user' }],
  ['redis://us%2Fer:a:b@h', { username: 'us/er', password: 'a:b' }],
  [
    'redis+sentinel://s1,s2:26380/mymaster/1',
    {
      kind: 'sentinel',
      hosts: [
        { host: 's1', port: 26_379 },
        { host: 's2', port: 26_380 },
      ],
      master: 'mymaster',
      database: 1,
    },
  ],
  ['redis+sentinel://s1/my%20master', { kind: 'sentinel', hosts: [{ host: 's1', port: 26_379 }], master: 'my master' }],
  [
    'rediss+cluster://u:p@n1,n2:7001',
    {
      kind: 'cluster',
      hosts: [
        { host: 'n1', port: 6_379 },
        { host: 'n2', port: 7_001 },
      ],
      isTls: true,
      username: 'u',
      password: 'p',
    },
  ],
])('%s is understood', ([text, difference]) => {
  expect(good(text)).toEqual({ ...single, ...difference });
});

test.for<[string, RegExp]>([
  ['', /expected redis:\/\//],
  ['h:6379', /expected redis:\/\//],
  ['http://h', /expected redis:\/\//],
  ['redis://', /expected redis:\/\//],
  ['redis://h?ssl=true', /expected redis:\/\//],
  ['redis+other://h', /expected redis:\/\//],
  ['redis://h:0', /host or port/],
  ['redis://h:65536', /host or port/],
  ['redis://h:port', /host or port/],
  ['redis+cluster://n1,,n2', /host or port/],
  ['redis://h,i', /several hosts/],
  ['redis+sentinel://s1', /name of the master/],
  ['redis://h/first', /database must be a number/],
  ['redis://h/-1', /database must be a number/],
  ['redis://h/1/2', /database must be a number/],
  ['redis+cluster://n1/1', /database 0 only/],
  ['redis://:p%zz@h', /percent-encoded/],
  ['redis+sentinel://s1/my%zzmaster', /percent-encoded|master/],
  // Else the end of the password would be the host, and be told in every message.
  ['redis://:p@ss@h', /host or port|percent-encoded/],
])('%j is refused', ([text, why]) => {
  const parsed = parseRedisAddress(text);
  expect(parsed).toEqual({ kind: 'fault', why: expect.stringMatching(why) });
});

test.for<[string, string]>([
  ['redis://user:canary@h', 'redis://h:6379'],
  ['rediss://:canary@h:1/2', 'rediss://h:1/2'],
  ['redis+sentinel://:canary@s1,s2:3/mymaster/2', 'redis+sentinel://s1:26379,s2:3/mymaster/2'],
  ['redis+cluster://canary:canary@n1,n2', 'redis+cluster://n1:6379,n2:6379'],
])('%s is described without its credentials', ([text, description]) => {
  expect(describeRedis(good(text))).toBe(description);
});

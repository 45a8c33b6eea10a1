/** The rows of the bad-input catalogue for webhook addresses (W) that a URL or an address can show. */
import { describe, expect, test } from 'vitest';
import { Problem } from '../domain/problem.ts';
import { isAllowedAddress, parseReceiverUrl, type ReceiverPolicy } from './receiver-address.ts';

const policy: ReceiverPolicy = { allowPrivate: false, allowNetworks: [] };
const local: ReceiverPolicy = { ...policy, allowPrivate: true };
const office: ReceiverPolicy = { ...policy, allowNetworks: ['10.20.0.0/16', 'fd00:1::/32'] };

function codeOf(url: string, given: ReceiverPolicy = policy): string {
  try {
    return parseReceiverUrl(url, given);
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
}

describe('a receiver is accepted', () => {
  test.for([
    ['by its name', 'https://hooks.example.com/a?b=c', 'https://hooks.example.com/a?b=c'],
    ['by a public address', 'https://93.184.216.34/', 'https://93.184.216.34/'],
    ['by a public address of version 6', 'https://[2606:4700::1111]/', 'https://[2606:4700::1111]/'],
    ['in plain HTTP, for the body is signed', 'http://hooks.example.com/', 'http://hooks.example.com/'],
    ['with its name in its normal form', 'HTTPS://Hooks.Example.COM', 'https://hooks.example.com/'],
    ['with a foreign name shown as it is resolved', 'https://bücher.example/', 'https://xn--bcher-kva.example/'],
    ['with the port of its scheme', 'https://hooks.example.com:443/', 'https://hooks.example.com/'],
    ['with the port of the other scheme', 'https://hooks.example.com:80/', 'https://hooks.example.com:80/'],
    ['with a port for web servers', 'https://hooks.example.com:8443/', 'https://hooks.example.com:8443/'],
    ['with an at sign in its path', 'https://hooks.example.com/@me', 'https://hooks.example.com/@me'],
    ['with 2,048 characters', `https://h.example/${'a'.repeat(2_030)}`, `https://h.example/${'a'.repeat(2_030)}`],
  ] as const)('%s', ([, url, expected]) => {
    expect(codeOf(url)).toBe(expected);
  });
});

describe('a receiver is refused', () => {
  test.for([
    ['W1 ftp', 'ftp://hooks.example.com/', 'url_scheme'],
    ['W1 file', 'file:///etc/passwd', 'url_scheme'],
    ['W1 javascript', 'javascript:alert(1)', 'url_scheme'],
    ['W1 data', 'data:text/plain,x', 'url_scheme'],
    ['W1 gopher', 'gopher://hooks.example.com/', 'url_scheme'],
    ['W3 a user and a password', 'https://u:p@hooks.example.com/', 'url_userinfo'],
    ['W3 a user', 'https://u@hooks.example.com/', 'url_userinfo'],
    ['W3 a password alone', 'https://:p@hooks.example.com/', 'url_userinfo'],
    ['W3 an empty user', 'https://@hooks.example.com/', 'url_userinfo'],
    ['W3 two hosts', 'http://1.1.1.1&@2.2.2.2#@3.3.3.3/', 'url_userinfo'],
    ['W13 the port of SSH', 'https://hooks.example.com:22/', 'url_port'],
    ['W13 the port of mail', 'https://hooks.example.com:25/', 'url_port'],
    ['W13 the port of Redis', 'https://hooks.example.com:6379/', 'url_port'],
    ['W13 the port of PostgreSQL', 'https://hooks.example.com:5432/', 'url_port'],
    ['W13 the port zero', 'https://hooks.example.com:0/', 'url_port'],
    ['W13 the last port below 1,024', 'https://hooks.example.com:1023/', 'url_port'],
    ['W13 no port at all', 'https://hooks.example.com:99999/', 'invalid_url'],
    ['W14 a long text', `https://h.example/${'a'.repeat(8_192)}`, 'invalid_url'],
    ['W14 a fragment', 'https://hooks.example.com/#x', 'invalid_url'],
    ['W14 a space', 'https://hooks.example.com/a b', 'invalid_url'],
    ['W14 a space at the end', 'https://hooks.example.com/ ', 'invalid_url'],
    ['W14 a tab, which parsers strip', 'https://hooks.exam\tple.com/', 'invalid_url'],
    ['W14 a control character', 'https://hooks.example.com/\u0000', 'invalid_url'],
    ['no host', 'https://', 'invalid_url'],
    ['no scheme', '//hooks.example.com/', 'invalid_url'],
    ['a path alone', '/hooks', 'invalid_url'],
    ['nothing', '', 'invalid_url'],
  ] as const)('%s', ([, url, code]) => {
    expect(codeOf(url)).toBe(code);
  });

  test.for([
    ...['127.0.0.1', '0x7f.1', '2130706433', '017700000001', '127.1', '１２７.０.０.１'].map((host) => ['W4', host]),
    ...['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'metadata.google.internal'].map((host) => ['W5', host]),
    ...['printer.local', 'router.home.arpa', 'intranet'].map((host) => ['W5', host]),
    ...['0', '0.0.0.0', '[::]'].map((host) => ['W6', host]),
    ...['[::1]', '[::ffff:127.0.0.1]', '[::127.0.0.1]', '[64:ff9b::a9fe:a9fe]', '[2002:7f00:1::]'].map((host) => [
      'W7',
      host,
    ]),
    ...['[fd00:ec2::254]', '[fe80::1]', '[64:ff9b:1::a9fe:a9fe]', '[::a9fe:a9fe]', '[100::1]'].map((host) => [
      'W7',
      host,
    ]),
    ...['169.254.169.254', '169.254.169.254.', '100.100.100.200', '192.0.0.192'].map((host) => ['W8', host]),
    ...['168.63.129.16', '[::ffff:168.63.129.16]'].map((host) => ['W8', host]),
    ...['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '198.18.0.1'].map((host) => [
      'W9',
      host,
    ]),
    ...['224.0.0.1', '255.255.255.255', '192.0.2.1', '198.51.100.1', '203.0.113.1'].map((host) => ['W9', host]),
    ...['240.0.0.1', '[ff02::1]', '[2001:db8::1]', '[fc00::1]'].map((host) => ['W9', host]),
  ])('%s the private host %s', ([, host]) => {
    expect(codeOf(`https://${host}/`)).toBe('url_private_address');
  });

  test('and the field at fault, the host and the way out are named', () => {
    const act = () => parseReceiverUrl('https://10.0.0.1/', policy, 'body.webhook_url');
    expect(act).toThrow(/10\.0\.0\.1 is private; add its network to webhooks\.allow_networks/);
    expect(act).toThrow(expect.objectContaining({ param: 'body.webhook_url', status: 400 }));
  });

  test('and the field is called webhook_url when nobody says otherwise', () => {
    expect(() => parseReceiverUrl('x', policy)).toThrow(expect.objectContaining({ param: 'webhook_url' }));
  });
});

describe('an address a connection may go to', () => {
  test.for<[string, string, ReceiverPolicy, boolean]>([
    ['a public one', '93.184.216.34', policy, true],
    ['a public one of version 6', '2606:4700::1111', policy, true],
    ['loopback', '127.0.0.1', policy, false],
    ['loopback in the mapped form', '::ffff:127.0.0.1', policy, false],
    ['metadata', '169.254.169.254', policy, false],
    ['metadata that looks public', '168.63.129.16', policy, false],
    ['a name', 'hooks.example.com', policy, false],
    ['nothing', '', policy, false],
    ['loopback of a server on loopback', '127.0.0.1', local, true],
    ['loopback of version 6 of a server on loopback', '::1', local, true],
    ['a private network of a server on loopback', '192.168.1.1', local, true],
    ['a private network of version 6 of a server on loopback', 'fd12::1', local, true],
    ['metadata of a server on loopback', '169.254.169.254', local, false],
    ['metadata that looks public of a server on loopback', '168.63.129.16', local, false],
    ['an unspecified one of a server on loopback', '0.0.0.0', local, false],
    ['a network that is allowed', '10.20.3.4', office, true],
    ['a network that is allowed, in the mapped form', '::ffff:10.20.3.4', office, true],
    ['a network of version 6 that is allowed', 'fd00:1::5', office, true],
    ['a network beside it', '10.21.0.1', office, false],
    ['loopback while another network is allowed', '127.0.0.1', office, false],
  ])('%s', ([, address, given, expected]) => {
    expect(isAllowedAddress(address, given)).toBe(expected);
  });
});

describe('a private name', () => {
  test.for<[string, string, ReceiverPolicy, string]>([
    ['is accepted by a server on loopback', 'http://localhost:3000/', local, 'http://localhost:3000/'],
    [
      'is accepted where networks are allowed, and checked when it is resolved',
      'http://app.internal/',
      office,
      'http://app.internal/',
    ],
    ['of one word is accepted by a server on loopback', 'http://app:3000/', local, 'http://app:3000/'],
    ['has no more ports than others', 'http://localhost:6379/', local, 'url_port'],
    ['may be an allowed address', 'http://10.20.0.1/', office, 'http://10.20.0.1/'],
  ])('%s', ([, url, given, expected]) => {
    expect(codeOf(url, given)).toBe(expected);
  });
});

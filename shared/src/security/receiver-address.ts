/**
 * Which addresses a webhook may be sent to.
 *
 * Checked twice: the text of the URL when a job is accepted, and the address of the connected socket when it is
 * delivered, because a name may resolve to something else by then. `ipaddr.js` names the ranges, NAT64, 6to4 and
 * mapped forms included; the cloud metadata addresses it calls plain unicast are listed here.
 */
import ipaddr from 'ipaddr.js';
import { Problem } from '../domain/problem.ts';

/** Cloud metadata services at addresses whose range alone would not say so. */
const metadataAddresses = new Set(['168.63.129.16', '100.100.100.200', '192.0.0.192', 'fd00:ec2::254']);
const deniedPorts = new Set([1433, 2049, 2375, 2376, 2379, 3306, 5432, 5984, 6379, 9200, 9300, 11211, 27017]);
const maxUrlLength = 2_048;

export interface ReceiverPolicy {
  /** The server itself listens on loopback: whoever can submit a job can already reach local addresses. */
  readonly allowPrivate: boolean;
  /** CIDR ranges of `webhooks.allow_networks`. */
  readonly allowNetworks: readonly string[];
}

/** True when a connection to this address is allowed. */
export function isAllowedAddress(address: string, policy: ReceiverPolicy): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  // `ipaddr.js` calls the whole rest of version 6 unicast, `::127.0.0.1` included; only one block is handed out.
  const isHandedOut = parsed.kind() === 'ipv4' || isWithin(parsed, '2000::/3');
  const isMetadata = metadataAddresses.has(parsed.toString());
  if (isHandedOut && parsed.range() === 'unicast' && !isMetadata) return true;
  if (policy.allowNetworks.some((network) => isWithin(parsed, network))) return true;
  return (
    policy.allowPrivate &&
    !isMetadata &&
    (parsed.range() === 'loopback' || parsed.range() === 'private' || parsed.range() === 'uniqueLocal')
  );
}

function isWithin(address: ipaddr.IPv4 | ipaddr.IPv6, network: string): boolean {
  const [range, bits] = ipaddr.parseCIDR(network);
  return range.kind() === address.kind() && address.match(range, bits);
}

/**
 * Checks the text of a receiver's URL and returns its normal form.
 * @throws Problem `invalid_url url_scheme url_userinfo url_port url_private_address`
 */
export function parseReceiverUrl(text: string, policy: ReceiverPolicy, param = 'webhook_url'): string {
  const fail = (
    code: 'invalid_url' | 'url_scheme' | 'url_userinfo' | 'url_port' | 'url_private_address',
    why: string,
  ) => new Problem(code, `Cannot send webhooks to this address: ${why}`, { param });
  if (text.length > maxUrlLength) throw fail('invalid_url', `it is longer than ${maxUrlLength} characters`);
  if (/[\s\p{Cc}]/u.test(text)) throw fail('invalid_url', 'it holds a space or control character');
  if (!URL.canParse(text)) throw fail('invalid_url', 'it is not an absolute URL');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw fail('url_scheme', `the scheme is "${url.protocol.slice(0, 20)}", expected https or http`);
  if (url.username !== '' || url.password !== '' || /^https?:\/\/[^/?#]*@/i.test(text))
    throw fail('url_userinfo', 'it holds a user name or password');
  if (url.hash !== '') throw fail('invalid_url', 'it holds a fragment');
  const port = url.port === '' ? null : Number(url.port);
  if (port !== null && ((port < 1_024 && port !== 80 && port !== 443) || deniedPorts.has(port)))
    throw fail('url_port', `port ${port} is not open to webhooks`);
  if (!isAllowedHost(url.hostname, policy)) {
    throw fail(
      'url_private_address',
      `${url.hostname.slice(0, 80)} is private; add its network to webhooks.allow_networks to allow it`,
    );
  }
  return url.href;
}

function isAllowedHost(hostname: string, policy: ReceiverPolicy): boolean {
  const host = hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
  if (ipaddr.isValid(host)) return isAllowedAddress(host, policy);
  const isLocalName =
    host === 'localhost' || !host.includes('.') || /\.(localhost|local|internal|home\.arpa)$/.test(host);
  return !isLocalName || policy.allowPrivate || policy.allowNetworks.length > 0;
}

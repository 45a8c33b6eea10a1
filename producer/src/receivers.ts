/**
 * Checks a webhook address when a job is accepted: its text, that it is not this server, and every address its name
 * has now. The connected socket is checked again at each delivery.
 */
import { lookup } from 'node:dns/promises';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { isAllowedAddress, parseReceiverUrl, type ReceiverPolicy } from '@waybill/shared/security/receiver-address.ts';

const lookupTimeoutMs = 2_000;
const rememberedHosts = 1_000;
const rememberMs = 60_000;

export interface Receivers {
  /** The address in normal form. @throws Problem */
  check(url: string, param: string): Promise<string>;
}

/** @param self host and port this server listens on */
export function createReceivers(policy: ReceiverPolicy, self: () => { host: string; port: number }): Receivers {
  const remembered = new Map<string, { isAllowed: boolean; untilMs: number }>();
  const isAllowedHost = async (hostname: string): Promise<boolean> => {
    const known = remembered.get(hostname);
    if (known && known.untilMs > Date.now()) return known.isAllowed;
    if (remembered.size >= rememberedHosts) remembered.clear();
    const isAllowed = (await addressesOf(hostname)).every((address) => isAllowedAddress(address, policy));
    remembered.set(hostname, { isAllowed, untilMs: Date.now() + rememberMs });
    return isAllowed;
  };
  const checked = new Map<string, { href: string; untilMs: number }>();
  const check = async (text: string, param: string): Promise<string> => {
    const href = parseReceiverUrl(text, policy, param);
    const url = new URL(href);
    const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
    const own = self();
    if (port === own.port && isSelf(url.hostname, own.host)) {
      throw new Problem('url_self', 'Cannot send webhooks to this address: it is this server itself', { param });
    }
    if (!(await isAllowedHost(url.hostname.replace(/^\[|\]$/g, '')))) {
      throw new Problem(
        'url_private_address',
        `Cannot send webhooks to this address: ${url.hostname.slice(0, 80)} resolves to a private address; add its network to webhooks.allow_networks to allow it`,
        { param },
      );
    }
    return href;
  };
  return {
    async check(text, param) {
      // The same address comes with job after job.
      const known = checked.get(text);
      if (known && known.untilMs > Date.now()) return known.href;
      const href = await check(text, param);
      if (checked.size >= rememberedHosts) checked.clear();
      checked.set(text, { href, untilMs: Date.now() + rememberMs });
      return href;
    },
  };
}

/** The name this server listens on, or loopback; `URL` has brought every spelling of an address to one form. */
function isSelf(hostname: string, ownHost: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return host === ownHost || /^(?:.*\.)?localhost$|^127\.|^::1$|^::ffff:7f[0-9a-f]{2}:/.test(host);
}

/** Every address of a name; none when it does not resolve now, which the delivery will find out and retry. */
async function addressesOf(hostname: string): Promise<string[]> {
  const limit = Promise.withResolvers<string[]>();
  const timer = setTimeout(() => limit.resolve([]), lookupTimeoutMs);
  try {
    return await Promise.race([
      lookup(hostname, { all: true }).then((all) => all.map((each) => each.address)),
      limit.promise,
    ]);
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}

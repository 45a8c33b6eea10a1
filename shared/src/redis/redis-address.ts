/**
 * `REDIS_URL` -> where the servers are. Several hosts need a form of their own, because a URL has one:
 *
 *   redis://user:password@host:6379/0                  one server; `rediss://` with TLS
 *   redis+sentinel://s1:26379,s2:26379/mymaster/0      the master that Sentinels name
 *   redis+cluster://n1:6379,n2:6379                    a Cluster, found from any of its nodes
 *
 * `rediss+sentinel://` and `rediss+cluster://` use TLS. User and password go before the first host.
 */
export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly hosts: readonly RedisHost[];
  readonly isTls: boolean;
  readonly username: string | null;
  readonly password: string | null;
  /** Always 0 for a Cluster. */
  readonly database: number;
  /** The name under which Sentinels know the master. */
  readonly master: string | null;
}

export type RedisAddressResult =
  | { readonly kind: 'ok'; readonly address: RedisAddress }
  | { readonly kind: 'fault'; readonly why: string };

const form = /^(redis|valkey)(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^/?#]+)((?:\/[^/?#]*)*)$/i;
const defaultPorts = { single: 6379, sentinel: 26_379, cluster: 6379 } as const;

export function parseRedisAddress(text: string): RedisAddressResult {
  const match = form.exec(text.trim());
  if (!match)
    return fault('expected redis://host:6379/0, redis+sentinel://host:26379,…/master or redis+cluster://host:6379,…');
  const kind = (match[3]?.toLowerCase() ?? 'single') as RedisAddress['kind'];
  const hosts = (match[5] ?? '').split(',').map((part) => parseHost(part, defaultPorts[kind]));
  if (hosts.some((host) => host === null)) return fault('a host or port is malformed');
  if (kind === 'single' && hosts.length > 1) return fault('several hosts need redis+sentinel:// or redis+cluster://');
  const path = (match[6] ?? '').split('/').filter((part) => part !== '');
  const master = kind === 'sentinel' ? (path.shift() ?? null) : null;
  if (kind === 'sentinel' && master === null) return fault('the name of the master is missing, such as …/mymaster');
  const database = path.length === 0 ? 0 : Number(path[0]);
  if (!Number.isInteger(database) || database < 0 || path.length > 1) return fault('the database must be a number');
  if (kind === 'cluster' && database !== 0) return fault('a Cluster has database 0 only');
  const credentials = parseCredentials(match[4]);
  const name = master === null ? null : decode(master);
  if (name === undefined) return fault('the name of the master must be percent-encoded');
  if (credentials === null) return fault('user and password must be percent-encoded');
  return {
    kind: 'ok',
    address: {
      kind,
      hosts: hosts as RedisHost[],
      isTls: match[2] !== '',
      ...credentials,
      database,
      master: name,
    },
  };
}

const fault = (why: string): RedisAddressResult => ({ kind: 'fault', why });

function parseHost(text: string, defaultPort: number): RedisHost | null {
  const match = /^(?:\[([0-9a-f:]+)\]|([^:@[\]\s]+))(?::(\d{1,5}))?$/i.exec(text.trim());
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  return host === undefined || port < 1 || port > 65_535 ? null : { host, port };
}

function parseCredentials(text: string | undefined): { username: string | null; password: string | null } | null {
  if (text === undefined || text === '') return { username: null, password: null };
  const colon = text.indexOf(':');
  const username = decode(colon < 0 ? text : text.slice(0, colon));
  const password = colon < 0 ? null : decode(text.slice(colon + 1));
  if (username === undefined || password === undefined) return null;
  return { username: username === '' ? null : username, password };
}

/** undefined: malformed. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Where it is, without what must stay secret: for logs and errors. */
export const describeRedis = ({ kind, hosts, isTls, database, master }: RedisAddress): string =>
  `redis${isTls ? 's' : ''}${kind === 'single' ? '' : `+${kind}`}://${hosts.map(({ host, port }) => `${host}:${port}`).join(',')}${master === null ? '' : `/${master}`}${database === 0 ? '' : `/${database}`}`;

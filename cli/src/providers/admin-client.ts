/** The admin API as the command line calls it. */
import { ApiError, UnreachableError } from '@waybill/producer/client/client.ts';
import type { CredentialJson } from '@waybill/producer/routes/admin/credentials.ts';
import type { ProviderJson } from '@waybill/producer/routes/admin/provider-json.ts';
import type { EventList } from '@waybill/producer/routes/events.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { type ConnectionFlags, connect } from '../connection.ts';
import { defaultDataDirectory, findAdminKey } from '../data-directory.ts';

const timeoutMs = 30_000;

export interface AdminClient {
  providers(): Promise<{ readonly data: readonly ProviderJson[] }>;
  switchProvider(id: string, change: 'enable' | 'disable' | 'reset'): Promise<ProviderJson>;
  credentials(): Promise<{ readonly data: readonly CredentialJson[] }>;
  storeCredential(name: string, secret: string): Promise<CredentialJson>;
  removeCredential(name: string): Promise<CredentialJson>;
  events(after: number, limit: number, signal?: AbortSignal): Promise<EventList>;
}

/** @throws Problem `missing_api_key invalid_api_key invalid_url` */
export function adminClient(flags: ConnectionFlags, env: NodeJS.ProcessEnv = process.env): AdminClient {
  // Says what is wrong with the address or the key.
  const { url } = connect(flags, env);
  const base = url.replace(/\/+$/, '');
  const key = flags.apiKey || env.WAYBILL_API_KEY || findAdminKey(env.WAYBILL_DATA_DIR || defaultDataDirectory) || '';
  const call = <T>(method: string, path: string, more: { body?: object; signal?: AbortSignal } = {}) =>
    send<T>(base, key, method, path, more);
  const named = (path: string, name: string) => `/admin/v1/${path}/${encodeURIComponent(name)}`;
  return {
    providers: () => call('GET', '/admin/v1/providers'),
    switchProvider: (id, change) => call('POST', `${named('providers', id)}/${change}`),
    credentials: () => call('GET', '/admin/v1/credentials'),
    storeCredential: (name, secret) => call('PUT', named('credentials', name), { body: { secret } }),
    removeCredential: (name) => call('DELETE', named('credentials', name)),
    events: (after, limit, signal) =>
      call('GET', `/v1/events?after=${after}&limit=${limit}`, signal === undefined ? {} : { signal }),
  };
}

async function send<T>(
  base: string,
  key: string,
  method: string,
  path: string,
  { body, signal }: { body?: object; signal?: AbortSignal },
): Promise<T> {
  const limit = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    text = await response.text();
  } catch (cause) {
    throw new UnreachableError(`Cannot reach Waybill at ${base}`, { cause });
  }
  const value = parse(text);
  if (response.ok && value !== null) return value as T;
  const error = (value as { error?: { message?: string; request_id?: string } } | null)?.error ?? {};
  if (error.request_id === undefined)
    throw new Problem('server_unreachable', `Cannot use ${base}: something answers there, but it is not Waybill`);
  if (response.status !== 401 && response.status !== 403) throw new ApiError(response.status, error);
  const remedy = 'Set WAYBILL_API_KEY to a key of this server with the scope "admin"';
  throw new ApiError(response.status, { ...error, message: `${error.message ?? 'Cannot sign in'}. ${remedy}` });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

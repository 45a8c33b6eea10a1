/**
 * Where a call to Azure goes, and how it says who calls.
 *
 * Without a version the resource speaks OpenAI's own paths (`/openai/v1`), and the body names the deployment. With a
 * dated version the deployment is part of the path.
 */
import type { Wire } from '../dialect.ts';

/** A version such as `2024-10-21`, or `2025-04-01-preview`; `preview` and `v1` are words of the paths without a date. */
export const isDated = (apiVersion: string | null): boolean => apiVersion !== null && /^\d{4}-/.test(apiVersion);

/** @param operation below the base, such as `chat/completions` */
export function addressOf({ endpoint, model, apiVersion }: Wire, operation: string): string {
  const query = apiVersion === null ? '' : `?api-version=${encodeURIComponent(apiVersion)}`;
  const path = isDated(apiVersion) ? `deployments/${encodeURIComponent(model)}` : 'v1';
  return `${rootOf(endpoint)}/openai/${path}/${operation}${query}`;
}

/** Addresses are copied from portals with more or less of the path: all of them mean the resource. */
const rootOf = (endpoint: string): string =>
  endpoint
    .replace(/[?#].*$/, '')
    .replace(/\/+$/, '')
    .replace(/\/openai(?:\/v1|\/deployments(?:\/.*)?)?$/, '');

/** An Entra token is a JWT, three parts of base64url; a key of the resource has no dot. */
const isToken = (credential: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(credential);

export function headersOf({ credential }: Pick<Wire, 'credential'>): Record<string, string> {
  const headers = { 'content-type': 'application/json' };
  if (credential === null) return headers;
  const value = credential.reveal();
  return isToken(value) ? { ...headers, authorization: `Bearer ${value}` } : { ...headers, 'api-key': value };
}

/** Asks an address for its models, bounded in time, and says in our own words what went wrong. */
import { dialectOf } from '@waybill/shared/providers/dialects.ts';
import { authHeaders } from '@waybill/shared/providers/listing/auth-headers.ts';
import { type ListFailure, type ListResult, listModels } from '@waybill/shared/providers/listing/list-models.ts';
import { presetOf } from '@waybill/shared/providers/presets.ts';
import type { Question } from './configured.ts';

export interface AskOptions {
  /** Of one question, its pages included. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Asked {
  readonly result: ListResult;
  readonly latencyMs: number;
}

export async function askModels(question: Question, { timeoutMs, signal }: AskOptions): Promise<Asked> {
  const { provider, endpoint } = question;
  const startedAt = performance.now();
  const result = await listModels({
    endpoint,
    listing: presetOf(provider.preset)?.modelListing ?? 'none',
    headers: headersOf(question),
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    readError: dialectOf(provider.dialect).readError,
  });
  return { result, latencyMs: Math.round(performance.now() - startedAt) };
}

export const ownHeaders = ({ provider }: Question): Record<string, string> =>
  Object.fromEntries(Object.entries(provider.headers).map(([name, value]) => [name, value.reveal()]));

const headersOf = (question: Question): Record<string, string> => ({
  ...authHeaders(question.provider.dialect, question.credential?.secret ?? null, question.provider.apiVersion),
  ...ownHeaders(question),
});

export interface Trouble {
  readonly problem: string;
  readonly remedy: string;
}

export function troubleOf(failed: ListFailure, question: Question, timeoutMs: number): Trouble {
  if (failed.kind === 'unreachable')
    return {
      problem:
        failed.code === 'aborted'
          ? `no answer within ${timeoutMs / 1_000} s`
          : `cannot be reached${failed.code === null ? '' : ` (${failed.code})`}`,
      remedy: 'check the address, the network, and that the server runs',
    };
  if (failed.kind === 'unreadable')
    return {
      problem: {
        too_large: 'its list is too large',
        not_json: 'its answer is not JSON',
        not_a_list: 'its answer is no list of models',
      }[failed.reason],
      remedy: 'check the address: many servers want it to end in /v1',
    };
  return { problem: `HTTP ${failed.status} (${failed.failure})`, remedy: remedyOf(failed.failure, question) };
}

export function remedyOf(kind: string, { credential }: Question): string {
  const named =
    credential === null ? 'name a credential in the configuration' : `replace the credential ${credential.name}`;
  const remedies: Readonly<Record<string, string>> = {
    auth: named,
    permission: 'this credential may not do this: see its rights at the provider, or try --call',
    billing: 'see to the account at the provider: it cannot pay',
    region: 'the provider does not serve this region',
    rate_limit: 'try again later: the provider limits how often it is asked',
    model_loading: 'the server is loading a model: try again later',
    model_not_found: 'check the address and the model',
  };
  return remedies[kind] ?? 'try again later; if it stays, check the address';
}

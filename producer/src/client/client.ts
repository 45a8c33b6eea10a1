/**
 * The typed client: fetch and nothing else, so that it runs wherever fetch does.
 *
 * @example
 * const waybill = createClient({ url: 'http://127.0.0.1:4700', apiKey });
 * const { data } = await waybill.submitMany([{ body: { model: 'default', messages } }]);
 */
import type { JobJson } from '../job-json.ts';

export interface ClientOptions {
  readonly url: string;
  readonly apiKey: string;
  /** How long one request may take, in milliseconds. */
  readonly timeoutMs?: number;
}

export interface JobList {
  readonly object: 'list';
  readonly data: JobJson[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
  /** With a `batch_id` filter: jobs of the batch by status. */
  readonly counts?: Readonly<Record<string, number>>;
}

/** An answer of the server that is an error; `code` is one of the catalogue in `docs/errors.md`. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
  readonly requestId: string | null;
  constructor(status: number, error: { message?: string; code?: string; param?: string | null; request_id?: string }) {
    super(error.message ?? `HTTP ${status}`);
    this.status = status;
    this.code = error.code ?? 'internal_error';
    this.param = error.param ?? null;
    this.requestId = error.request_id ?? null;
  }
}

/** The server could not be reached at all. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

export interface Client {
  submit(job: unknown, options?: { idempotencyKey?: string }): Promise<JobJson>;
  submitMany(
    jobs: readonly unknown[],
    options?: { idempotencyKey?: string },
  ): Promise<{ batch_id: string; data: JobJson[] }>;
  get(id: string, options?: { wait?: string }): Promise<JobJson>;
  list(filter?: Readonly<Record<string, string>>): Promise<JobList>;
  cancel(id: string): Promise<JobJson>;
  retry(id: string): Promise<JobJson>;
  webhookSecret(): Promise<string>;
}

const defaultTimeoutMs = 90_000;

export function createClient({ url, apiKey, timeoutMs = defaultTimeoutMs }: ClientOptions): Client {
  const base = url.replace(/\/+$/, '');
  const call = async <T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<T> => {
    let response: Response;
    try {
      response = await fetch(`${base}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${apiKey}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (cause) {
      throw new UnreachableError(`Cannot reach Waybill at ${base}`, { cause });
    }
    const text = await response.text();
    const value = parse(text);
    if (!response.ok) throw new ApiError(response.status, (value as { error?: object } | null)?.error ?? {});
    return value as T;
  };
  const keyHeader = (key: string | undefined): Record<string, string> =>
    key === undefined ? {} : { 'idempotency-key': key };
  return {
    submit: (job, options) => call('POST', '/v1/jobs', job, keyHeader(options?.idempotencyKey)),
    submitMany: (jobs, options) => call('POST', '/v1/jobs/bulk', { jobs }, keyHeader(options?.idempotencyKey)),
    get: (id, options) =>
      call(
        'GET',
        `/v1/jobs/${encodeURIComponent(id)}${options?.wait === undefined ? '' : `?wait=${encodeURIComponent(options.wait)}`}`,
      ),
    list: (filter = {}) => call('GET', `/v1/jobs?${new URLSearchParams(filter)}`),
    cancel: (id) => call('POST', `/v1/jobs/${encodeURIComponent(id)}/cancel`),
    retry: (id) => call('POST', `/v1/jobs/${encodeURIComponent(id)}/retry`),
    webhookSecret: async () => (await call<{ secret: string }>('GET', '/v1/webhook-endpoints/default')).secret,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * The typed client: fetch and nothing else, so that it runs wherever fetch does.
 *
 * @example
 * const waybill = createClient({ url: 'http://127.0.0.1:4700', apiKey });
 * const { data } = await waybill.submitMany([{ body: { model: 'default', messages } }]);
 */
import type { JobEstimateJson } from '../estimate-json.ts';
import type { JobExplanationJson } from '../explain-json.ts';
import type { JobJson } from '../job-json.ts';
import type { AuditList } from '../routes/admin/audit.ts';
import type { BreakerList } from '../routes/admin/breaker-json.ts';
import type { BreakerAction, BreakerChange } from '../routes/admin/breakers.ts';
import type { BudgetList } from '../routes/admin/budget-json.ts';
import type { JobActionJson } from '../routes/job-actions.ts';

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

export interface JobActionBody {
  readonly action: JobActionJson['action'];
  /** The fields of `filter` in `docs/jobs.md`; all that are given must hold. */
  readonly filter: Readonly<Record<string, unknown>>;
  /** For a retry: another chain or target. */
  readonly model?: string | undefined;
  /** At most so many jobs in one request; 10,000 at most. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
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
  /** Where a job would go now, what it would wait for and what it would cost. Nothing is stored. */
  estimate(job: unknown): Promise<JobEstimateJson>;
  /** Why a job went where it went, and how its targets stand now. */
  explain(id: string): Promise<JobExplanationJson>;
  cancel(id: string): Promise<JobJson>;
  /** @param options.model another chain or target for the job */
  retry(id: string, options?: { model?: string | undefined }): Promise<JobJson>;
  /**
   * Cancels, retries, pauses or resumes the jobs of a filter. Send the same with `cursor` until `is_complete`.
   *
   * @example await waybill.act({ action: 'retry', filter: { batch_id, status: 'failed' }, model: 'anthropic/claude-haiku-5-5' });
   */
  act(action: JobActionBody): Promise<JobActionJson>;
  /** Lets a job that awaits approval go to the target it was asked about. */
  approve(id: string): Promise<JobJson>;
  /** Ends a job that awaits approval, as `refused_approval`. */
  refuse(id: string, options?: { reason?: string | undefined }): Promise<JobJson>;
  webhookSecret(): Promise<string>;
  /** This and what follows needs an API key with the scope `admin`. */
  breakers(): Promise<BreakerList>;
  /**
   * Opens, closes or resets the breaker of a target, or of all of a provider as `provider/*`.
   *
   * @param options.for how long an opened one stays so, such as `10m`; without it until it is closed
   */
  changeBreaker(target: string, action: BreakerAction, options?: { for?: string | undefined }): Promise<BreakerChange>;
  /** @param filter `per subject window after limit`, as in `docs/budgets.md` */
  budgets(filter?: Readonly<Record<string, string>>): Promise<BudgetList>;
  /** @param filter `after job_id limit` */
  audit(filter?: Readonly<Record<string, string>>): Promise<AuditList>;
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
    estimate: (job) => call('POST', '/v1/jobs/estimate', job),
    explain: (id) => call('GET', `/v1/jobs/${encodeURIComponent(id)}/explain`),
    cancel: (id) => call('POST', `/v1/jobs/${encodeURIComponent(id)}/cancel`),
    retry: (id, { model } = {}) =>
      call('POST', `/v1/jobs/${encodeURIComponent(id)}/retry`, model === undefined ? undefined : { model }),
    act: (action) => call('POST', '/v1/jobs/actions', action),
    approve: (id) => call('POST', `/v1/jobs/${encodeURIComponent(id)}/approve`),
    refuse: (id, { reason } = {}) =>
      call('POST', `/v1/jobs/${encodeURIComponent(id)}/refuse`, reason === undefined ? undefined : { reason }),
    breakers: () => call('GET', '/admin/v1/breakers'),
    changeBreaker: (target, action, { for: time } = {}) =>
      call('POST', '/admin/v1/breakers', { target, action, ...(time === undefined ? {} : { for: time }) }),
    budgets: (filter = {}) => call('GET', `/admin/v1/budgets?${new URLSearchParams(filter)}`),
    audit: (filter = {}) => call('GET', `/admin/v1/audit?${new URLSearchParams(filter)}`),
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

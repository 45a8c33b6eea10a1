/**
 * The client side of a run: submits, repeats what was not answered under the same Idempotency-Key, and remembers what
 * was accepted. What it remembers is the promise that the checks hold the product to.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, UnreachableError } from '@waybill/producer/client/client.ts';
import { poisonMark } from './behaviour.ts';
import type { Dice } from './dice.ts';
import type { Fleet } from './fleet.ts';

export interface AcceptedJob {
  readonly customId: string;
  readonly id: string;
  readonly hasWebhook: boolean;
  readonly isInBatch: boolean;
}

export interface LoadOptions {
  readonly fleet: Pick<Fleet, 'client' | 'url' | 'adminKey'>;
  readonly dice: Dice;
  readonly webhookUrl: string;
  readonly signal: AbortSignal;
  readonly shape: Shape;
}

/** What a job says besides its number, which its prompt ends with. */
export type Shape = (customId: string, dice: Dice) => Readonly<Record<string, unknown>>;

export const plainShape: Shape = (customId) => ({ model: 'default', prompt: customId });

export interface Load {
  readonly accepted: ReadonlyMap<string, AcceptedJob>;
  readonly batchIds: readonly string[];
  /** Answers to one key that differed. */
  readonly contradictions: readonly string[];
  submit(count: number, options?: SubmitOptions): Promise<void>;
  /** One job of its own kind, without a webhook. @returns its id */
  submitOne(shape: Shape): Promise<string>;
  /** One job, so many times at once under one key; what each was answered. */
  submitTogether(times: number, key: string): Promise<string[]>;
  /** Both kinds of request again and again until it is told to stop. */
  probe(): Probe;
}

export interface SubmitOptions {
  /** Between two bulk submits; a load that lasts through the faults. */
  readonly paceMs?: number;
  readonly slice?: number;
  /** The share of the submits that are sent again though they were answered. */
  readonly repeatShare?: number;
  /** Of the jobs of this call, the one that is poison. */
  readonly poisonIndex?: number;
}

export interface ProbeResult {
  /** `GET 200`, `POST 503`, `POST none`: how often. */
  readonly answers: Readonly<Record<string, number>>;
  readonly slowestMs: number;
}

export interface Probe {
  /** Ends it; every POST without an answer is repeated until it has one. */
  stop(): Promise<ProbeResult>;
}

const defaultSlice = 100;
const repeatLimitMs = 120_000;
const repeatGapMs = 200;
const probeGapMs = 150;
/** An API that takes longer hangs. */
const probeLimitMs = 20_000;

export function createLoad(options: LoadOptions): Load {
  const { fleet, dice, webhookUrl, signal, shape } = options;
  const accepted = new Map<string, AcceptedJob>();
  const batchIds: string[] = [];
  const contradictions: string[] = [];
  let numbered = 0;
  const nextJob = (isPoison: boolean): NewJob => {
    const customId = `job-${numbered}`;
    numbered += 1;
    // Three of four: jobs without a webhook take another path to their end.
    const hasWebhook = dice.next() < 0.75;
    const job = {
      custom_id: customId,
      ...shape(isPoison ? `${poisonMark} ${customId}` : customId, dice),
      ...(hasWebhook ? { webhook_url: webhookUrl } : {}),
    };
    return { job, hasWebhook };
  };
  const keep = ({ job, hasWebhook }: NewJob, id: string, isInBatch = false) => {
    const before = accepted.get(job.custom_id);
    if (before && before.id !== id) contradictions.push(`${job.custom_id} was ${before.id}, and then ${id}`);
    accepted.set(job.custom_id, { customId: job.custom_id, id, hasWebhook, isInBatch });
  };
  const submitSlice = async (jobs: readonly NewJob[], key: string) => {
    const answer = await untilAnswered(
      () =>
        fleet.client.submitMany(
          jobs.map(({ job }) => job),
          { idempotencyKey: key },
        ),
      signal,
    );
    if (!batchIds.includes(answer.batch_id)) batchIds.push(answer.batch_id);
    for (const [i, each] of jobs.entries()) keep(each, answer.data[i]?.id ?? 'nothing', true);
  };
  const submitAll = async (count: number, options: SubmitOptions): Promise<void> => {
    const { paceMs = 0, slice = defaultSlice, repeatShare = 0, poisonIndex = -1 } = options;
    for (let done = 0; done < count; done += slice) {
      const jobs = Array.from({ length: Math.min(slice, count - done) }, (_, i) => nextJob(done + i === poisonIndex));
      const key = `bulk-${jobs[0]?.job.custom_id}`;
      await submitSlice(jobs, key);
      if (dice.next() < repeatShare) await submitSlice(jobs, key);
      if (paceMs > 0 && done + slice < count) await sleep(paceMs, undefined, { signal });
    }
  };
  return {
    accepted,
    batchIds,
    contradictions,
    submit(count, submitOptions = {}) {
      const submitting = submitAll(count, submitOptions);
      // It runs beside the faults, and may fail before anybody waits for it.
      submitting.catch(() => undefined);
      return submitting;
    },
    async submitOne(own) {
      const customId = `job-${numbered}`;
      numbered += 1;
      const made = { job: { custom_id: customId, ...own(customId, dice) }, hasWebhook: false };
      const { id } = await fleet.client.submit(made.job);
      keep(made, id);
      return id;
    },
    submitTogether: (times, key) => submitTogether(fleet, nextJob(false), { times, key, keep }),
    probe: () => startProbe(options, () => nextJob(false), keep),
  };
}

async function submitTogether(
  { client }: LoadOptions['fleet'],
  made: NewJob,
  { times, key, keep }: { times: number; key: string; keep: (made: NewJob, id: string) => void },
): Promise<string[]> {
  const submits = Array.from({ length: times }, () => client.submit(made.job, { idempotencyKey: key }));
  return Promise.all(
    submits.map((submit) =>
      submit.then(
        ({ id }) => {
          keep(made, id);
          return '202';
        },
        (error: unknown) => (error instanceof ApiError ? `${error.status} ${error.code}` : String(error)),
      ),
    ),
  );
}

/** Repeats under the same key until there is an answer; only refusals end it. */
async function untilAnswered<T>(send: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const endsAt = Date.now() + repeatLimitMs;
  for (;;) {
    try {
      return await send();
    } catch (error) {
      const isPassing = error instanceof UnreachableError || (error instanceof ApiError && error.status >= 500);
      if (!isPassing || Date.now() > endsAt) throw error;
      await sleep(repeatGapMs, undefined, { signal });
    }
  }
}

interface NewJob {
  readonly job: object & { readonly custom_id: string };
  readonly hasWebhook: boolean;
}

function startProbe(
  { fleet, signal }: LoadOptions,
  nextJob: () => NewJob,
  keep: (job: NewJob, id: string) => void,
): Probe {
  const answers: Record<string, number> = {};
  const unanswered: { made: NewJob; key: string }[] = [];
  let slowestMs = 0;
  let isOver = false;
  const ask = async (method: 'GET' | 'POST', path: string, made: NewJob | null, key = ''): Promise<void> => {
    const startedAt = performance.now();
    const answer = await fetch(`${fleet.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${fleet.adminKey}`,
        ...(made === null ? {} : { 'content-type': 'application/json', 'idempotency-key': key }),
      },
      ...(made === null ? {} : { body: JSON.stringify(made.job) }),
      signal: AbortSignal.timeout(probeLimitMs),
    }).catch(() => null);
    const text = (await answer?.text().catch(() => '')) ?? '';
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    const name = `${method} ${answer?.status ?? 'none'}`;
    answers[name] = (answers[name] ?? 0) + 1;
    if (made === null) return;
    if (answer?.status === 202) keep(made, (JSON.parse(text) as { id: string }).id);
    else unanswered.push({ made, key });
  };
  const running = (async () => {
    while (!isOver && !signal.aborted) {
      const made = nextJob();
      await Promise.all([
        ask('GET', '/v1/jobs?limit=1', null),
        ask('POST', '/v1/jobs', made, `probe-${made.job.custom_id}`),
      ]);
      await sleep(probeGapMs);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await running;
      for (const { made, key } of unanswered) {
        const { id } = await untilAnswered(() => fleet.client.submit(made.job, { idempotencyKey: key }), signal);
        keep(made, id);
      }
      return { answers, slowestMs: Math.round(slowestMs) };
    },
  };
}

/** What a run left behind, read once, after everything has stopped: the database, both fakes' logs, the history. */
import type { CallEvent, DeliveryEvent, ProviderName } from './behaviour.ts';
import type { AcceptedJob } from './load.ts';
import type { Fault } from './nemesis.ts';

export type Row = Readonly<Record<string, unknown>>;
export type Query = (statement: string) => Promise<Row[]>;

export interface JobEvidence {
  readonly id: string;
  readonly customId: string;
  readonly status: string;
  readonly errorKind: string | null;
  readonly run: number;
  readonly createdAtMs: number;
  readonly finishedAtMs: number | null;
  readonly hasOutput: boolean;
  readonly outputAttempt: number | null;
  /** Whether the output is the answer to this job's prompt, and not to another's. */
  readonly isOwnOutput: boolean;
}

export interface AttemptEvidence {
  readonly jobId: string;
  readonly n: number;
  readonly run: number;
  readonly target: string;
  readonly status: string;
  readonly failureKind: string | null;
  readonly workerId: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  /** Null: not known. */
  readonly costNano: bigint | null;
  readonly costBasis: string | null;
}

export interface LedgerEvidence {
  readonly id: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly costNano: bigint | null;
  readonly costBasis: string;
  readonly correctsId: string | null;
}

export interface DeliveryRowEvidence {
  readonly jobId: string;
  readonly eventId: string;
  readonly type: string;
  readonly status: string;
}

export interface WorkerEvidence {
  readonly id: string;
  readonly pid: number;
  readonly leaseUntilMs: number;
}

/** One call at the fake provider, from its two lines. */
export interface Call {
  readonly provider: ProviderName;
  readonly prompt: string;
  /** What it is billed. */
  readonly tokens: number;
  readonly beganAtMs: number;
  /** Null: still open when the log was read. */
  readonly endedAtMs: number | null;
  readonly isAborted: boolean;
  /** What was answered in full. */
  readonly status: number | null;
}

export interface Evidence {
  readonly accepted: ReadonlyMap<string, AcceptedJob>;
  readonly contradictions: readonly string[];
  readonly jobs: readonly JobEvidence[];
  readonly attempts: readonly AttemptEvidence[];
  readonly ledger: readonly LedgerEvidence[];
  readonly deliveries: readonly DeliveryRowEvidence[];
  readonly workers: readonly WorkerEvidence[];
  readonly calls: readonly Call[];
  readonly delivered: readonly DeliveryEvent[];
  readonly faults: readonly Fault[];
}

const statements = {
  jobs: `
    select j.id, j.custom_id as "customId", j.status, j.error_kind as "errorKind", j.run,
      (extract(epoch from j.created_at) * 1000)::float8 as "createdAtMs",
      (extract(epoch from j.finished_at) * 1000)::float8 as "finishedAtMs",
      p.output is not null as "hasOutput", p.output_attempt as "outputAttempt",
      coalesce(position('An answer to ' || j.custom_id || '.' in p.output) > 0, false) as "isOwnOutput"
    from waybill.jobs j left join waybill.payloads p on p.job_id = j.id`,
  attempts: `
    select job_id as "jobId", n, run, target, status, failure_kind as "failureKind", worker_id as "workerId",
      (extract(epoch from started_at) * 1000)::float8 as "startedAtMs",
      (extract(epoch from ended_at) * 1000)::float8 as "endedAtMs",
      cost_nano::text as "costNano", cost_basis as "costBasis"
    from waybill.attempts order by job_id, n`,
  ledger: `
    select id::text, job_id as "jobId", attempt, cost_nano::text as "costNano", cost_basis as "costBasis",
      corrects_id::text as "correctsId"
    from waybill.ledger order by id`,
  deliveries: `
    select job_id as "jobId", event_id as "eventId", type, status from waybill.webhook_deliveries`,
  workers: `
    select id, pid, (extract(epoch from lease_until) * 1000)::float8 as "leaseUntilMs" from waybill.workers`,
} as const;

export type DatabaseEvidence = Pick<Evidence, keyof typeof statements>;

export async function readDatabase(query: Query): Promise<DatabaseEvidence> {
  const read = async <T>(name: keyof typeof statements) => (await query(statements[name])) as unknown as T[];
  const withCost = <T extends Row>(rows: readonly Row[]) =>
    rows.map((row) => ({
      ...row,
      costNano: row.costNano === null ? null : BigInt(String(row.costNano)),
    })) as never as T[];
  return {
    jobs: await read<JobEvidence>('jobs'),
    attempts: withCost<AttemptEvidence & Row>(await read<Row>('attempts')),
    ledger: withCost<LedgerEvidence & Row>(await read<Row>('ledger')),
    deliveries: await read<DeliveryRowEvidence>('deliveries'),
    workers: await read<WorkerEvidence>('workers'),
  };
}

export function pairCalls(events: readonly CallEvent[]): Call[] {
  const ends = new Map(events.filter(({ event }) => event !== 'begin').map((event) => [event.call, event]));
  return events
    .filter(({ event }) => event === 'begin')
    .map(({ call, provider, prompt, tokens, t }) => {
      const end = ends.get(call);
      return {
        provider,
        prompt,
        tokens,
        beganAtMs: t,
        endedAtMs: end?.t ?? null,
        isAborted: end?.event === 'aborted',
        status: end?.status ?? null,
      };
    })
    .sort((one, other) => one.beganAtMs - other.beganAtMs);
}

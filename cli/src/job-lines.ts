/**
 * Lines -> jobs, checked before anything is sent: OpenAI batch lines, our own job objects, or plain prompts.
 */
import { parseJobRequest } from '@waybill/producer/job-request.ts';
import { parseJsonObject } from '@waybill/shared/domain/json-text.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { faultsOf } from '@waybill/shared/domain/strict-object.ts';
import type { Line } from './lines.ts';

export interface LineOptions {
  /** For plain prompts, and lines that name no model. */
  readonly model: string;
  /** Put into every job that does not say otherwise. */
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly format: 'auto' | 'jsonl' | 'prompts';
}

export interface JobLine {
  readonly number: number;
  /** As it is sent. */
  readonly job: Record<string, unknown>;
}

/** @throws Problem with the line in its message; `empty_batch` when there is none */
export async function* toJobs(lines: AsyncIterable<Line>, options: LineOptions): AsyncIterable<JobLine> {
  const seen = new Map<string, number>();
  let format = options.format;
  let count = 0;
  for await (const line of lines) {
    if (line.text.trim() === '') continue;
    if (format === 'auto') format = line.text.trimStart().startsWith('{') ? 'jsonl' : 'prompts';
    const job =
      format === 'jsonl'
        ? parseLine(line)
        : { custom_id: `line-${line.number}`, model: options.model, prompt: line.text };
    const whole = { ...options.defaults, ...job };
    check(whole, line.number);
    checkOnce(whole.custom_id, line.number, seen);
    count += 1;
    yield { number: line.number, job: whole };
  }
  if (count === 0) throw new Problem('empty_batch', 'Cannot enqueue: the input holds no job');
}

function parseLine(line: Line): Record<string, unknown> {
  try {
    return parseJsonObject(line.text);
  } catch (cause) {
    if (!(cause instanceof Problem)) throw cause;
    throw new Problem(cause.code, `Cannot read line ${line.number}: ${cause.message.replace(/ \(line 1\)$/, '')}`, {
      cause,
      param: `line ${line.number}`,
    });
  }
}

function check(job: Record<string, unknown>, number: number): void {
  const parsed = parseJobRequest(job);
  if (parsed.kind === 'ok') return;
  const [fault] = faultsOf(parsed.error);
  throw new Problem(
    fault?.code ?? 'invalid_value',
    `Cannot accept line ${number}: ${fault?.path ? `${fault.path}: ` : ''}${fault?.message ?? 'it is not a job'}`,
    { param: `line ${number}` },
  );
}

function checkOnce(customId: unknown, number: number, seen: Map<string, number>): void {
  if (typeof customId !== 'string') return;
  const first = seen.get(customId);
  if (first !== undefined)
    throw new Problem('duplicate_custom_id', `Cannot accept line ${number}: line ${first} has the same custom_id`, {
      param: `line ${number}`,
    });
  seen.set(customId, number);
}

/**
 * `waybill enqueue FILE|-`: sends a file of jobs, shows how they go, and can write their answers to a file.
 *
 * Every line is checked before the first is sent. Ctrl-C leaves the jobs running and says how to come back.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, createWriteStream, openSync } from 'node:fs';
import { ApiError, type Client } from '@waybill/producer/client/client.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { Command, Option } from 'commander';
import { type ConnectionFlags, connect, withConnection } from '../connection.ts';
import { exitCode } from '../exit-codes.ts';
import { type JobLine, toJobs } from '../job-lines.ts';
import { openInput, readLines } from '../lines.ts';
import { print, printJson, say } from '../output.ts';
import { bar, startProgress } from '../progress.ts';
import { untilStopped } from '../until-stopped.ts';

interface EnqueueFlags extends ConnectionFlags {
  readonly model: string;
  readonly priority?: string;
  readonly webhookUrl?: string;
  readonly format: 'auto' | 'jsonl' | 'prompts';
  readonly wait: boolean;
  readonly output?: string;
  readonly idempotencyKey?: string;
}

const chunkJobs = 500;
const chunkBytes = 8 * 1024 * 1024;
const pollMs = 500;

export function enqueueCommand(): Command {
  return withConnection(
    new Command('enqueue')
      .description('send a file of jobs: OpenAI batch lines, job objects, or plain prompts')
      .argument('<file>', 'a path, or - for standard input'),
  )
    .option('--model <model>', 'chain or target for plain prompts', 'default')
    .addOption(new Option('--priority <class>', 'for lines that name none').choices(['interactive', 'normal', 'bulk']))
    .option('--webhook-url <url>', 'for lines that name none: one signed webhook per job')
    .addOption(
      new Option('--format <format>', 'what the lines are').choices(['auto', 'jsonl', 'prompts']).default('auto'),
    )
    .option('--no-wait', 'return as soon as the jobs are stored')
    .option(
      '--output <file>',
      'write one JSON line per finished job: custom_id, id, status, output_text, cost_usd, error',
    )
    .option('--idempotency-key <key>', 'send the same file twice with the same key, and it is stored once')
    .addHelpText(
      'after',
      '\nExamples:\n  waybill enqueue batch.jsonl\n  waybill enqueue batch.jsonl --priority bulk --no-wait --json\n  printf "Say hello.\\nSay goodbye.\\n" | waybill enqueue - --output answers.jsonl',
    )
    .action((file: string, flags: EnqueueFlags) => enqueue(file, flags));
}

async function enqueue(file: string, flags: EnqueueFlags): Promise<void> {
  check(flags);
  if (flags.format === 'auto' && /\.(?:csv|tsv|xlsx?|parquet)$/i.test(file)) {
    throw new Problem(
      'not_jsonl',
      `Cannot enqueue ${file}: tables are not taken. Write one JSON object per line, or name --format prompts to send each line as a prompt`,
    );
  }
  const { client } = connect(flags);
  const isQuiet = flags.json ?? false;
  const lines: JobLine[] = [];
  const defaults = {
    ...(flags.priority === undefined ? {} : { priority: flags.priority }),
    ...(flags.webhookUrl === undefined ? {} : { webhook_url: flags.webhookUrl }),
  };
  const input = readLines(openInput(file), flags.format === 'prompts');
  for await (const line of toJobs(input, { model: flags.model, defaults, format: flags.format })) lines.push(line);
  const stopped = untilStopped();
  const batches: string[] = [];
  const key = flags.idempotencyKey ?? randomUUID();
  const isSent = await Promise.race([
    sendAll(client, lines, key, batches, isQuiet).then(() => true),
    stopped.then(() => false),
  ]);
  if (!isSent) {
    say(`\nStopped sending. To go on, repeat the command with --idempotency-key ${key}${comeBack(batches)}`);
    // The request under way may or may not be stored; the same key makes sending it again harmless.
    process.exit(exitCode.interrupted);
  }
  if (!flags.wait) return report(batches, lines.length, null, flags);
  const isInterrupted = await watch(client, batches, lines.length, stopped, isQuiet);
  if (isInterrupted) {
    say(`\nStopped watching; the jobs go on.${comeBack(batches)}`);
    process.exitCode = exitCode.interrupted;
    return;
  }
  const counts = await totals(client, batches);
  if (flags.output !== undefined) await writeAnswers(client, batches, flags.output);
  report(batches, lines.length, counts, flags);
  if ((counts.succeeded ?? 0) < lines.length) process.exitCode = exitCode.failed;
}

/** What can be wrong with the flags is said before a job is sent, not after the last one ended. */
function check({ wait, output, idempotencyKey }: EnqueueFlags): void {
  if (output !== undefined && !wait)
    throw new Problem('invalid_usage', 'Cannot use --output with --no-wait: there are no answers yet to write');
  if (idempotencyKey !== undefined && !/^[\x20-\x7e]{1,240}$/.test(idempotencyKey))
    throw new Problem(
      'invalid_idempotency_key',
      `Cannot use --idempotency-key: expected 1 to 240 printable ASCII characters, received ${idempotencyKey.length}`,
      { param: 'idempotency-key' },
    );
  if (output === undefined) return;
  try {
    closeSync(openSync(output, 'a', 0o600));
  } catch (cause) {
    throw unwritable(output, cause);
  }
}

const unwritable = (path: string, cause: unknown): Problem =>
  new Problem('file_unreadable', `Cannot write ${path}: ${String((cause as NodeJS.ErrnoException).code)}`, { cause });

const comeBack = (batches: readonly string[]): string =>
  batches.length === 0
    ? ''
    : `\nCome back with:\n${batches.map((id) => `  waybill jobs list --batch ${id}`).join('\n')}`;

/** @param batches filled as they are stored */
async function sendAll(
  client: Client,
  lines: readonly JobLine[],
  key: string,
  batches: string[],
  isQuiet: boolean,
): Promise<void> {
  const progress = startProgress(isQuiet);
  let sent = 0;
  for (const chunk of chunksOf(lines)) {
    try {
      const { batch_id: batchId } = await client.submitMany(
        chunk.map((line) => line.job),
        { idempotencyKey: `${key}-${batches.length}` },
      );
      batches.push(batchId);
    } catch (error) {
      progress.end();
      throw withLine(error, chunk, sent, batches);
    }
    sent += chunk.length;
    progress.show([`sending  ${bar(sent, lines.length)}`]);
  }
  progress.end();
}

function* chunksOf(lines: readonly JobLine[]): Iterable<JobLine[]> {
  let chunk: JobLine[] = [];
  let bytes = 0;
  for (const line of lines) {
    const size = Buffer.byteLength(JSON.stringify(line.job));
    if (chunk.length > 0 && (chunk.length >= chunkJobs || bytes + size > chunkBytes)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(line);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}

/** Names the line of the file, and says what was stored before it. */
function withLine(error: unknown, chunk: readonly JobLine[], sent: number, batches: readonly string[]): unknown {
  const index = error instanceof ApiError ? /^jobs\[(\d+)\]/.exec(error.param ?? '')?.[1] : undefined;
  if (batches.length > 0) say(`${sent} jobs were stored before the error, in ${batches.join(', ')}.`);
  const line = index === undefined ? undefined : chunk[Number(index)];
  if (!(error instanceof ApiError) || !line) return error;
  return new ApiError(error.status, {
    message: `line ${line.number}: ${error.message}`,
    code: error.code,
    param: `line ${line.number}`,
    request_id: error.requestId ?? '',
  });
}

/** True when the user stopped watching. */
async function watch(
  client: Client,
  batches: readonly string[],
  total: number,
  stopped: Promise<unknown>,
  isQuiet: boolean,
): Promise<boolean> {
  const progress = startProgress(isQuiet);
  let isInterrupted = false;
  const interrupted = stopped.then(() => {
    isInterrupted = true;
  });
  for (;;) {
    const counts = await totals(client, batches);
    const done = total - (counts.queued ?? 0) - (counts.in_progress ?? 0);
    progress.show([
      `${bar(done, total)}   running ${counts.in_progress ?? 0}   waiting ${counts.queued ?? 0}   failed ${counts.failed ?? 0}`,
    ]);
    if (done >= total || isInterrupted) break;
    await Promise.race([interrupted, new Promise((resolve) => setTimeout(resolve, pollMs))]);
  }
  progress.end();
  return isInterrupted;
}

async function totals(client: Client, batches: readonly string[]): Promise<Record<string, number>> {
  const sum: Record<string, number> = {};
  for (const batch of batches) {
    const { counts = {} } = await client.list({ batch_id: batch, limit: '1' });
    for (const [status, count] of Object.entries(counts)) sum[status] = (sum[status] ?? 0) + count;
  }
  return sum;
}

async function writeAnswers(client: Client, batches: readonly string[], path: string): Promise<void> {
  const file = createWriteStream(path, { mode: 0o600 });
  const failed = once(file, 'error').then(([cause]) => {
    throw unwritable(path, cause);
  });
  const written = (async () => {
    for (const batch of batches) {
      let cursor: string | null = null;
      do {
        const page = await client.list({ batch_id: batch, limit: '100', ...(cursor === null ? {} : { cursor }) });
        for (const job of page.data) {
          const { custom_id, id, status, target, output_text, usage, cost_usd, error } = job;
          if (
            !file.write(`${JSON.stringify({ custom_id, id, status, target, output_text, usage, cost_usd, error })}\n`)
          )
            await once(file, 'drain');
        }
        cursor = page.next_cursor;
      } while (cursor !== null);
    }
    await new Promise<void>((resolve) => file.end(() => resolve()));
  })();
  await Promise.race([written, failed]);
}

function report(
  batches: readonly string[],
  jobs: number,
  counts: Record<string, number> | null,
  flags: EnqueueFlags,
): void {
  if (flags.json) printJson({ jobs, batch_ids: batches, counts });
  else print(sentence(batches, jobs, counts, flags.output));
}

function sentence(
  batches: readonly string[],
  jobs: number,
  counts: Record<string, number> | null,
  output: string | undefined,
): string {
  if (counts === null) {
    return `${jobs} jobs stored in ${batches.join(', ')}. Watch them with: waybill jobs list --batch ${batches[0] ?? ''}`;
  }
  const states = Object.entries(counts).map(([status, count]) => `${count} ${status}`);
  return `${jobs} jobs: ${states.join(', ')}${output === undefined ? '' : `; answers in ${output}`}`;
}

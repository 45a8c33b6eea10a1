/** Asks the server about one job, or about each line of a file. */
import { ApiError, type Client } from '@waybill/producer/client/client.ts';
import type { JobEstimateJson } from '@waybill/producer/estimate-json.ts';
import { type ConnectionFlags, connect } from '../connection.ts';
import { type JobLine, toJobs } from '../job-lines.ts';
import { openInput, readLines } from '../lines.ts';
import { print, printJson } from '../output.ts';
import { startProgress } from '../progress.ts';
import { createEstimateSum, estimateSumText } from './estimate-sum.ts';
import { estimateText } from './estimate-text.ts';

export interface EstimateFlags extends ConnectionFlags {
  readonly model: string;
  readonly prompt?: string;
  readonly priority?: string;
}

/** Lines asked about at once. */
const atOnce = 8;

export async function runEstimate(file: string | null, flags: EstimateFlags): Promise<void> {
  const { client } = connect(flags);
  const defaults = flags.priority === undefined ? {} : { priority: flags.priority };
  if (file === null) {
    const estimate = await client.estimate({ ...defaults, model: flags.model, prompt: flags.prompt });
    return flags.json ? printJson(estimate) : print(estimateText(estimate));
  }
  const progress = startProgress(flags.json ?? false);
  const total = createEstimateSum();
  let last: JobEstimateJson | null = null;
  let group: JobLine[] = [];
  let asked = 0;
  const ask = async () => {
    for (const estimate of await Promise.all(group.map((line) => ofLine(client, line)))) {
      total.add(estimate);
      last = estimate;
      asked += 1;
    }
    group = [];
    progress.show([`estimated ${asked} jobs`]);
  };
  try {
    const lines = readLines(openInput(file), false);
    for await (const line of toJobs(lines, { model: flags.model, defaults, format: 'auto' })) {
      group.push(line);
      if (group.length === atOnce) await ask();
    }
    await ask();
  } finally {
    progress.end();
  }
  // For a program the shape is that of the command, whatever the file holds; a reader sees all there is to one job.
  if (flags.json) printJson(total.sum());
  else if (asked === 1 && last !== null) print(estimateText(last));
  else print(estimateSumText(total.sum()));
}

/** A line that would be refused is named, as one that cannot be read is. */
async function ofLine(client: Client, { number, job }: JobLine): Promise<JobEstimateJson> {
  try {
    return await client.estimate(job);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { status, code, requestId } = error;
    const told = { message: `Line ${number}: ${error.message}`, code, param: `line ${number}` };
    throw new ApiError(status, requestId === null ? told : { ...told, request_id: requestId });
  }
}

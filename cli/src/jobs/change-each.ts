/** One job after the other, as they were named; the first that cannot be changed ends the command. */
import type { JobJson } from '@waybill/producer/job-json.ts';
import { exitCodeOf } from '../exit-codes.ts';
import { type ErrorJson, errorJson, print, printJson } from '../output.ts';

/** For the help of each command that takes ids. */
export const aboutIds =
  'Of several ids the first that cannot be changed ends it, with 1 where the job is in the way; with --json its error stands beside the jobs changed before.';

export async function changeEach(
  ids: readonly string[],
  isJson: boolean,
  change: (id: string) => Promise<JobJson>,
  lineOf: (job: JobJson) => string,
): Promise<void> {
  if (!isJson) {
    for (const id of ids) print(lineOf(await change(id)));
    return;
  }
  const changed: JobJson[] = [];
  let failure: ErrorJson | null = null;
  try {
    for (const id of ids) changed.push(await change(id));
  } catch (error) {
    // Thrown on, it would be the whole output, and nobody would learn of the jobs that are changed already.
    failure = errorJson(error);
    process.exitCode = exitCodeOf(error);
  }
  printJson({ object: 'list', data: changed, ...failure });
}

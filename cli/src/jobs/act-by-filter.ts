/** Request after request until the server says that it is complete; Ctrl-C stops between two of them. */
import { createInterface } from 'node:readline/promises';
import type { JobActionJson } from '@waybill/producer/routes/job-actions.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { JobAction } from '@waybill/shared/store/job-actions.ts';
import { connect } from '../connection.ts';
import { print, printJson, say, visible } from '../output.ts';
import { startProgress } from '../progress.ts';
import { exitCodeOfSignal, untilStopped } from '../until-stopped.ts';
import type { ActionFlags } from './action-flags.ts';

/** Few enough that progress moves, and that Ctrl-C is heard soon. */
const jobsPerRequest = 1_000;

const done: Readonly<Record<JobAction, string>> = {
  cancel: 'cancelled',
  retry: 'retried',
  pause: 'paused',
  resume: 'resumed',
};

export async function actByFilter(
  action: JobAction,
  filter: Readonly<Record<string, unknown>>,
  flags: ActionFlags,
): Promise<void> {
  const { client } = connect(flags);
  if (!flags.yes && !(await isWanted(action, filter))) return say('Nothing was changed.');
  const stop = new AbortController();
  void untilStopped().then((signal) => stop.abort(signal));
  const progress = startProgress(flags.json ?? false);
  let total: JobActionJson | null = null;
  try {
    do {
      const cursor: string | undefined = total?.next_cursor ?? undefined;
      const page = await client.act({ action, filter, model: flags.setModel, limit: jobsPerRequest, cursor });
      total = total === null ? page : sum(total, page);
      progress.show([`${done[action]} ${total.changed} of ${total.matched} so far`]);
    } while (!total.is_complete && !stop.signal.aborted);
  } catch (error) {
    progress.end();
    if (total !== null) say(`Before it failed: ${describe(total)}`);
    throw error;
  }
  progress.end();
  if (flags.json) printJson(total);
  else print(describe(total));
  if (total.is_complete) return;
  say('Interrupted: the same command goes on with the rest.');
  process.exitCode = exitCodeOfSignal(stop.signal.reason as NodeJS.Signals);
}

/** @throws Problem `invalid_usage` where nobody can be asked */
async function isWanted(action: JobAction, filter: Readonly<Record<string, unknown>>): Promise<boolean> {
  const what = filter.all ? 'all jobs of the tenant' : `all jobs with ${visible(JSON.stringify(filter))}`;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new Problem('invalid_usage', `Cannot ${action} ${what} without being asked to: add --yes`);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D are a no.
  const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  const answer = await Promise.race([lines.question(`${action} ${what}? [y/N] `), closed]);
  lines.close();
  return /^y(es)?$/i.test(answer.trim());
}

function sum(total: JobActionJson, page: JobActionJson): JobActionJson {
  const skipped: Record<string, number> = { ...total.skipped };
  for (const [reason, n] of Object.entries(page.skipped)) skipped[reason] = (skipped[reason] ?? 0) + n;
  return { ...page, matched: total.matched + page.matched, changed: total.changed + page.changed, skipped };
}

/** `Paused 3 of 5 jobs; left as they are: 2 in_progress` */
function describe({ action, changed, matched, skipped }: JobActionJson): string {
  const left = Object.entries(skipped).map(([reason, n]) => `${n} ${visible(reason)}`);
  const verb = done[action].charAt(0).toUpperCase() + done[action].slice(1);
  return `${verb} ${changed} of ${matched} job${matched === 1 ? '' : 's'}${left.length === 0 ? '' : `; left as they are: ${left.join(', ')}`}`;
}

/** Flags of commands that ask providers themselves. */
import { parseDuration } from '@waybill/shared/domain/duration.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { Command } from 'commander';
import { type Progress, startProgress } from '../progress.ts';

export interface AskFlags {
  readonly json?: boolean;
  readonly timeout?: string;
}

const defaultTimeout = '10s';
const longestMs = 300_000;

export const withAskFlags = (command: Command): Command =>
  command
    .option('--timeout <duration>', `how long one provider may take to answer (${defaultTimeout})`)
    .option('--json', 'print one JSON object on standard output');

/** @throws Problem */
export function timeoutOf({ timeout = defaultTimeout }: AskFlags): number {
  const ms = parseDuration(timeout);
  if (ms !== null && ms >= 100 && ms <= longestMs) return ms;
  throw new Problem(
    'invalid_usage',
    `Cannot use --timeout: "${timeout.slice(0, 40)}" is not a duration from 100ms to 5m, such as "10s"`,
    { param: 'timeout' },
  );
}

/** Tells on standard error how far it is. */
export function counting(
  flags: AskFlags,
  what: string,
): { tell(done: number, total: number): void } & Pick<Progress, 'end'> {
  const progress = startProgress(flags.json ?? false);
  return {
    tell: (done, total) => progress.show([`Asked ${done} of ${total} ${what}`]),
    end: () => progress.end(),
  };
}

/** Ctrl-C and SIGTERM: the first stops in good order, the second at once. */
import { exitCode } from './exit-codes.ts';

/** What a shell expects of a process that a signal ended. */
export const exitCodeOfSignal = (signal: NodeJS.Signals): number => (signal === 'SIGTERM' ? 143 : exitCode.interrupted);

/** Resolves at the first signal; a second one ends the process without waiting. */
export function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isStopping = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (isStopping) process.exit(exitCodeOfSignal(signal));
      isStopping = true;
      resolve(signal);
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}

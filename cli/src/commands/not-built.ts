/** Commands of the design that this version does not have: they say so instead of being unknown. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import { Command } from 'commander';

const later = ['init', 'doctor', 'batch', 'api-keys', 'config', 'costs'];

export function notBuiltCommands(): Command[] {
  return later.map((name) =>
    new Command(name)
      .description('not in this version yet')
      .argument('[anything...]')
      .allowUnknownOption()
      .action(() => {
        throw new Problem(
          'not_supported_yet',
          `Cannot run "waybill ${name}": this version does not have it yet. "waybill up" runs everything in one process`,
        );
      }),
  );
}

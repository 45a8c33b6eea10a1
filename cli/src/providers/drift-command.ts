/** `waybill providers check-drift`: what the providers list now against what is configured and believed. */
import { Command } from 'commander';
import { withAskFlags } from './local-flags.ts';
import type { DriftFlags } from './run-check-drift.ts';

export function checkDriftCommand(): Command {
  return withAskFlags(
    new Command('check-drift')
      .description('compare the models, windows and prices providers list with what is configured and believed')
      .argument('[id]', 'one provider')
      .option(
        '--recorded <folder>',
        'also call each model in use for one token, and compare the shape of its answer with the one kept there (may be billed)',
      ),
  )
    .addHelpText(
      'after',
      '\nMade to run nightly: ends with 1 when a finding is an error, or a provider could not be asked. Bills nothing without --recorded;\nwith it, it says first how many calls it makes.\n\nExamples:\n  waybill providers check-drift\n  waybill providers check-drift --json | jq .findings\n  waybill providers check-drift --recorded answers/',
    )
    .action(async (id: string | undefined, flags: DriftFlags) => {
      const { runCheckDrift } = await import('./run-check-drift.ts');
      await runCheckDrift(id, flags);
    });
}

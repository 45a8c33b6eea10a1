/** `waybill providers models`: what each provider lists, with context windows and prices. */
import { Command } from 'commander';
import { type AskFlags, withAskFlags } from './local-flags.ts';

export function modelsCommand(): Command {
  return withAskFlags(
    new Command('models').description('list the models of the configured providers').argument('[id]', 'one provider'),
  )
    .addHelpText(
      'after',
      '\nAsks each provider for its list, which bills nothing. A price that is not known is shown as such.\n\nExamples:\n  waybill providers models\n  waybill providers models ollama --json | jq -r ".data[].id"',
    )
    .action(async (id: string | undefined, flags: AskFlags) => {
      const { runModels } = await import('./run-models.ts');
      await runModels(id, flags);
    });
}

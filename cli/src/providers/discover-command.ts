/** `waybill providers discover`: what this machine has, and a configuration for it. */
import { Command } from 'commander';
import { withAskFlags } from './local-flags.ts';
import type { DiscoverFlags } from './run-discover.ts';

export function discoverCommand(): Command {
  return withAskFlags(
    new Command('discover').description('find providers on this machine, and print a configuration for them'),
  )
    .option('--write <file>', 'write the configuration there; a file that exists is left alone')
    .addHelpText(
      'after',
      '\nLooks for credentials in the environment and for Ollama, llama.cpp, LocalAI, vLLM, LightLLM and LM Studio at their usual ports. Needs no server, and bills nothing.\n\nExamples:\n  waybill providers discover\n  waybill providers discover --write waybill.yaml',
    )
    .action(async (flags: DiscoverFlags) => {
      const { runDiscover } = await import('./run-discover.ts');
      await runDiscover(flags);
    });
}

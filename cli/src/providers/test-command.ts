/** `waybill providers test`: can each provider be used as configured? */
import { Command } from 'commander';
import { withAskFlags } from './local-flags.ts';
import type { TestFlags } from './run-test.ts';

export function testCommand(): Command {
  return withAskFlags(
    new Command('test')
      .description('ask each provider, with each credential at each address, whether it can be used')
      .argument('[id]', 'one provider'),
  )
    .option('--call', 'also make one real call of one token per provider, which may be billed')
    .addHelpText(
      'after',
      '\nLists models or asks the health path, which bills nothing. Ends with 1 when one fails.\n\nExamples:\n  waybill providers test\n  waybill providers test openai --call',
    )
    .action(async (id: string | undefined, flags: TestFlags) => {
      const { runTest } = await import('./run-test.ts');
      await runTest(id, flags);
    });
}

/** `waybill webhooks secret`: what receivers verify signatures with. */
import { Command } from 'commander';
import { type ConnectionFlags, connect, withConnection } from '../connection.ts';
import { print, printJson } from '../output.ts';

export function webhooksCommand(): Command {
  const secret = withConnection(
    new Command('secret').description("print the secret that signs webhooks to a job's webhook_url"),
  )
    .addHelpText('after', '\nExample:\n  export WEBHOOK_SECRET=$(waybill webhooks secret)')
    .action(async (flags: ConnectionFlags) => {
      const value = await connect(flags).client.webhookSecret();
      if (flags.json) printJson({ secret: value });
      else print(value);
    });
  return new Command('webhooks').description('receivers of webhooks').addCommand(secret);
}

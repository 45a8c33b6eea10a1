#!/usr/bin/env node
/** The `waybill` command. One file per command; this one gathers them, and turns errors into exit codes. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import { Command, CommanderError } from 'commander';
import { breakersCommand } from './commands/breakers.ts';
import { budgetsCommand } from './commands/budgets.ts';
import { credentialsCommand } from './commands/credentials.ts';
import { demoCommand } from './commands/demo.ts';
import { enqueueCommand } from './commands/enqueue.ts';
import { eventsCommand } from './commands/events.ts';
import { jobsCommand } from './commands/jobs.ts';
import { migrateCommand } from './commands/migrate.ts';
import { notBuiltCommands } from './commands/not-built.ts';
import { providersCommand } from './commands/providers.ts';
import { apiCommand, dashboardsCommand, workerCommand } from './commands/servers.ts';
import { upCommand } from './commands/up.ts';
import { webhooksCommand } from './commands/webhooks.ts';
import { exitCode, exitCodeOf } from './exit-codes.ts';
import { errorJson, ignoreClosedPipe, printJson, say, visible } from './output.ts';
import { checkFlags } from './strict-flags.ts';
import { version } from './version.ts';

const program = new Command('waybill')
  .description('A durable queue for LLM generation jobs.')
  .version(version)
  .showSuggestionAfterError(true)
  .showHelpAfterError('(run with --help for examples)')
  .enablePositionalOptions()
  .exitOverride()
  .addHelpText(
    'after',
    '\nExamples:\n  waybill up                     start everything in this process\n  waybill demo                   see it work on simulated providers\n  waybill enqueue prompts.jsonl  send a file\n  waybill jobs list --status failed',
  );

for (const command of [
  upCommand(),
  apiCommand(),
  workerCommand(),
  dashboardsCommand(),
  migrateCommand(),
  demoCommand(),
  enqueueCommand(),
  jobsCommand(),
  webhooksCommand(),
  providersCommand(),
  credentialsCommand(),
  breakersCommand(),
  budgetsCommand(),
  eventsCommand(),
  ...notBuiltCommands(),
]) {
  command.copyInheritedSettings(program);
  for (const sub of command.commands) sub.copyInheritedSettings(program);
  program.addCommand(command);
}

async function main(argv: readonly string[]): Promise<number> {
  ignoreClosedPipe();
  try {
    checkFlags(program, argv);
    await program.parseAsync(argv);
    return Number(process.exitCode ?? exitCode.ok);
  } catch (error) {
    // Help and version are "errors" to commander too; a wrong flag is a usage error.
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exitCode.ok;
      if (argv.includes('--json')) printJson(errorJson(new Problem('invalid_usage', error.message)));
      return exitCode.usage;
    }
    if (argv.includes('--json')) printJson(errorJson(error));
    else say(visible(describe(error)));
    return exitCodeOf(error);
  }
}

function describe(error: unknown): string {
  const { code, message, request_id: requestId } = errorJson(error).error;
  const hint = code === 'server_unreachable' ? '. Start it with `waybill up`, or name another with --url' : '';
  if (message.includes('\n')) return `waybill: ${message}`; // A list of faults, each with its code.
  return `waybill: ${message}${hint} (${code}${requestId ? `, request ${requestId}` : ''})`;
}

process.exitCode = await main(process.argv);

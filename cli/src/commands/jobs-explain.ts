/** `waybill jobs explain` and `waybill jobs estimate`: why a job went where it went, and where one would go. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import { Command, Option } from 'commander';
import { type ConnectionFlags, connect, withConnection } from '../connection.ts';
import type { EstimateFlags } from '../jobs/run-estimate.ts';
import { print, printJson } from '../output.ts';

export function explainCommand(): Command {
  return withConnection(
    new Command('explain')
      .description('tell why a job went where it went, what it waits for and what it cost')
      .argument('<id>'),
  )
    .addHelpText(
      'after',
      "\nExamples:\n  waybill jobs explain job_0193…\n  waybill jobs explain job_0193… --json | jq -r '.summary[]'",
    )
    .action(async (id: string, flags: ConnectionFlags) => {
      const explanation = await connect(flags).client.explain(id);
      if (flags.json) return printJson(explanation);
      const { explanationText } = await import('../jobs/explanation-text.ts');
      print(explanationText(explanation));
    });
}

export function estimateCommand(): Command {
  return withConnection(
    new Command('estimate')
      .description('tell where jobs would go now, what they would wait for and what they would cost; nothing is sent')
      .argument('[file]', 'as `waybill enqueue` takes it: a path, or - for standard input'),
  )
    .usage('[options] <file> | --prompt <text>')
    .option('--prompt <text>', 'one prompt instead of a file')
    .option('--model <model>', 'chain or target for the prompt, and for plain prompts of a file', 'default')
    .addOption(
      new Option('--priority <class>', 'for the prompt, and for lines that name none').choices([
        'interactive',
        'normal',
        'bulk',
      ]),
    )
    .addHelpText(
      'after',
      '\nOf several jobs it prints the sum, and where they would begin; of one all there is to it. With --json a file is always a\njob_estimate_sum, also of one line, and a --prompt a job_estimate. The server is asked once for each line; the first that\nit would refuse ends it with 1.\n\nExamples:\n  waybill jobs estimate --prompt "Summarise: …" --model low-cost\n  waybill jobs estimate batch.jsonl\n  waybill jobs estimate batch.jsonl --json | jq .expected_cost_usd\n  waybill jobs estimate --prompt "Summarise: …" --json | jq .target',
    )
    .action(async (file: string | undefined, flags: EstimateFlags) => {
      if ((file === undefined) === (flags.prompt === undefined))
        throw new Problem('invalid_usage', 'Cannot estimate: name a file of jobs, or give one --prompt');
      const { runEstimate } = await import('../jobs/run-estimate.ts');
      await runEstimate(file ?? null, flags);
    });
}

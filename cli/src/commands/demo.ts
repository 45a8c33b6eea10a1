/** `waybill demo`: the main job, seen in under a minute, with nothing to configure. */
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { Command } from 'commander';
import type { Demo } from '../demo/run-demo.ts';
import { fallbacksByReason, renderSummary, type Summary, summarise } from '../demo/summary.ts';
import { exitCode } from '../exit-codes.ts';
import { print, printJson, say } from '../output.ts';
import { startProgress } from '../progress.ts';
import { untilStopped } from '../until-stopped.ts';

interface DemoFlags {
  readonly json?: boolean;
  readonly keep?: boolean;
}

export function demoCommand(): Command {
  return new Command('demo')
    .description('run 320 real prompts through three simulated providers that fail, and show what happens')
    .option('--json', 'print one JSON object on standard output, and nothing else')
    .option('--keep', 'leave it running at the end, to look around; Ctrl-C ends it')
    .addHelpText('after', '\nExamples:\n  waybill demo\n  waybill demo --json | jq .fallbacks\n  waybill demo --keep')
    .action((flags: DemoFlags) => demo(flags));
}

async function demo(flags: DemoFlags): Promise<void> {
  const parsed = parseEnvironment(environmentForDemo(process.env));
  if (parsed.kind === 'faults')
    throw new Problem(
      'invalid_config',
      `Cannot use the environment: ${parsed.faults.map((fault) => `${fault.path} ${fault.message}`).join('; ')}`,
    );
  const isQuiet = flags.json ?? false;
  const stopped = untilStopped();
  if (!isQuiet) say('Starting Waybill on a fresh folder, with simulated providers: openai, anthropic, ollama …');
  // Loaded when it is asked for: the simulated providers would cost every other command its start.
  const { startDemo } = await import('../demo/run-demo.ts');
  const running = await startDemo(parsed.environment);
  try {
    const result = await Promise.race([running.run(startProgress(isQuiet)), stopped.then(() => null)]);
    if (result === null) {
      process.exitCode = exitCode.interrupted;
      return;
    }
    const summary = summarise(result.jobs, result.webhooksVerified);
    if (isQuiet) printJson(summary);
    else print(`\n${renderSummary(summary, fallbacksByReason(result.jobs), addresses(running, flags.keep ?? false))}`);
    if (
      !isWhole(
        summary,
        result.jobs.every((job) => job.finished_at !== null),
        result.webhooksRejected,
      )
    )
      process.exitCode = exitCode.failed;
    if (flags.keep) await stopped;
  } finally {
    await running.stop();
  }
}

/** Real credentials, telemetry and a configured server have no part in the demo. */
function environmentForDemo(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = [
    'HOME',
    'XDG_CACHE_HOME',
    'LOG_LEVEL',
    'WAYBILL_PORT',
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    'OTEL_SERVICE_NAME',
    'OTEL_RESOURCE_ATTRIBUTES',
  ];
  return Object.fromEntries(kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

const isWhole = (summary: Summary, areAllFinal: boolean, rejected: number): boolean =>
  areAllFinal && summary.jobs > 0 && summary.webhooks_verified === summary.jobs && rejected === 0;

function addresses({ server, directory }: Demo, isKept: boolean): string[] {
  if (!isKept) return ['Run it with --keep to look around in the queues and the API.'];
  return [
    `Queues:  ${server.dashboardUrl}  (any user name; the password is in ${directory}/admin-key)`,
    `Jobs:    curl -s "${server.url}/v1/jobs?limit=3" -H "authorization: Bearer $(cat ${directory}/admin-key)"`,
    'Ctrl-C ends it.',
  ];
}

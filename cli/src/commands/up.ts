/** `waybill up`: API, pools and dashboards in one process, on the embedded database. */
import { loadConfig } from '@waybill/shared/config/load.ts';
import { probeLocalServers } from '@waybill/shared/config/probe.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { Command } from 'commander';
import { defaultDataDirectory } from '../data-directory.ts';
import type { EmbeddedServer } from '../embedded-server.ts';
import { print, printJson } from '../output.ts';
import { untilStopped } from '../until-stopped.ts';

const drainMs = 10_000;

export function upCommand(): Command {
  return new Command('up')
    .description('start the API, the workers and the dashboards in this process')
    .option('--json', 'print one JSON object with the addresses when ready')
    .addHelpText(
      'after',
      '\nExamples:\n  OPENAI_API_KEY=sk-... waybill up     providers from the environment\n  WAYBILL_CONFIG=waybill.yaml waybill up\n  WAYBILL_PORT=0 waybill up --json      any free port',
    )
    .action((flags: { json?: boolean }) => up(flags.json ?? false));
}

async function up(isJson: boolean): Promise<void> {
  const { settings, environment, file } = await loadConfig(process.env, probeLocalServers).catch(asConfigProblem);
  const directory = environment.WAYBILL_DATA_DIR ?? defaultDataDirectory;
  const stopped = untilStopped();
  // Loaded when it is asked for: a database has no part in `waybill jobs get`.
  const { startEmbeddedServer } = await import('../embedded-server.ts');
  const server = await startEmbeddedServer({
    settings,
    environment,
    directory,
    host: environment.WAYBILL_HOST ?? '127.0.0.1',
    port: environment.WAYBILL_PORT ?? 4_700,
    logger: createLogger({ level: environment.LOG_LEVEL ?? 'info' }),
  });
  if (isJson)
    printJson({
      url: server.url,
      dashboard_url: server.dashboardUrl,
      data_dir: directory,
      chain: settings.chains.default?.targets ?? [],
      notes: settings.notes,
    });
  else print(welcome(server, settings, file, directory, environment.WAYBILL_ADMIN_KEY !== undefined));
  const signal = await stopped;
  if (!isJson)
    print(`\n${signal}: finishing running calls for up to ${drainMs / 1_000} s; a second one stops at once.`);
  await server.stop(drainMs);
}

/** To the shell, any fault of the configuration is one of the configuration, whatever the single fault is called. */
function asConfigProblem(cause: unknown): never {
  if (!(cause instanceof Problem) || cause.code === 'file_unreadable') throw cause;
  throw new Problem('invalid_config', cause.message, { param: cause.param, cause });
}

function welcome(
  server: EmbeddedServer,
  settings: Settings,
  file: string | null,
  directory: string,
  isOwnKey: boolean,
): string {
  const key = isOwnKey ? '$WAYBILL_ADMIN_KEY' : `$(cat ${directory}/admin-key)`;
  const targets = settings.chains.default?.targets ?? [];
  const lines = [
    `Waybill is up at ${server.url}  (${file ?? 'no configuration file: providers found in the environment and on this machine'})`,
    '',
  ];
  if (targets.length === 0) {
    lines.push(
      'No provider found. Set a credential such as OPENAI_API_KEY or ANTHROPIC_API_KEY, or start Ollama, and start again.',
      'To see it work without one: npm run demo',
      '',
    );
  } else {
    lines.push(`Chain "default":  ${targets.join('  ->  ')}`, '');
  }
  for (const note of settings.notes) lines.push(`Note: ${note}`);
  if (settings.notes.length > 0) lines.push('');
  lines.push(
    `Queues:  ${server.dashboardUrl}  (any user name, the admin key as password: ${isOwnKey ? 'WAYBILL_ADMIN_KEY' : `${directory}/admin-key`})`,
    '',
    'Try it:',
    `  curl -s ${server.url}/v1/jobs -H "authorization: Bearer ${key}" -H 'content-type: application/json' \\`,
    `    -d '{"model":"default","prompt":"Say hello in three languages."}'`,
    `  curl -s "${server.url}/v1/jobs/<id>?wait=30s" -H "authorization: Bearer ${key}"`,
  );
  return lines.join('\n');
}

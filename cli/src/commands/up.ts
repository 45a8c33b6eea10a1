/** `waybill up`: API, pools and dashboards in one process; embedded, or on the servers the environment names. */
import { Command } from 'commander';
import { describeStores } from '../describe-stores.ts';
import { type Loaded, runServer } from '../run-server.ts';
import type { WaybillServer } from '../server.ts';

const drainMs = 10_000;
const defaultPort = 4_700;

export function upCommand(): Command {
  return new Command('up')
    .description('start the API, the workers and the dashboards in this process')
    .option('--json', 'print one JSON object with the addresses when ready')
    .addHelpText(
      'after',
      '\nExamples:\n  OPENAI_API_KEY=sk-... waybill up     providers from the environment\n  WAYBILL_CONFIG=waybill.yaml waybill up\n  WAYBILL_PORT=0 waybill up --json      any free port',
    )
    .action((flags: { json?: boolean }) =>
      runServer({
        role: 'up',
        isJson: flags.json ?? false,
        drainMs,
        defaultPort,
        welcome,
        json: (server, { settings, environment }, directory) => ({
          url: server.url,
          dashboard_url: server.dashboardUrl,
          data_dir: directory,
          stores: describeStores(environment, directory),
          chain: settings.chains.default?.targets ?? [],
          notes: settings.notes,
        }),
      }),
    );
}

function welcome(server: WaybillServer, { settings, environment, file }: Loaded, directory: string): string {
  const isOwnKey = environment.WAYBILL_ADMIN_KEY !== undefined;
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

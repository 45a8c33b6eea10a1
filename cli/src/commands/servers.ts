/** `waybill api`, `waybill worker`, `waybill dashboards`: the parts as processes of their own, any number of each. */
import { parseDuration } from '@waybill/shared/domain/duration.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { nearestHint } from '@waybill/shared/domain/strict-object.ts';
import { Command } from 'commander';
import { describeStores } from '../describe-stores.ts';
import { type Loaded, type RunOptions, runServer } from '../run-server.ts';

const apiPort = 4_700;
const dashboardsPort = 4_701;
const longestDrainMs = 3_600_000;

interface Flags {
  readonly json?: boolean;
  readonly drain: string;
  readonly providers?: string;
}

const needs =
  '\nNeeds DATABASE_URL and WAYBILL_MASTER_KEY, the same for all processes; REDIS_URL puts the queue on Redis.\n';

function serverCommand(name: 'api' | 'worker' | 'dashboards', description: string, examples: string): Command {
  return new Command(name)
    .description(description)
    .option('--json', 'print one JSON object when ready')
    .option('--drain <duration>', 'how long requests and calls may go on after SIGTERM', '30s')
    .addHelpText('after', `${needs}\nExamples:\n${examples}`);
}

function run(flags: Flags, options: Pick<RunOptions, 'role' | 'defaultPort' | 'providersOf'>): Promise<void> {
  const drainMs = parseDuration(flags.drain);
  if (drainMs === null || drainMs < 0 || drainMs > longestDrainMs)
    throw new Problem(
      'invalid_usage',
      `Cannot drain for "${flags.drain}": expected a duration up to 1h, such as "30s"`,
    );
  const serves = (loaded: Loaded) => options.providersOf?.(loaded) ?? enabledProviders(loaded);
  return runServer({
    ...options,
    isJson: flags.json ?? false,
    drainMs,
    welcome: (server, loaded, directory) =>
      [
        `Waybill ${options.role} is ready${server.url === '' ? '' : ` at ${server.url}`}, on ${describeStores(loaded.environment, directory)}`,
        ...(options.role === 'worker' ? [`Serving: ${serves(loaded).join(', ') || 'no provider'}`] : []),
        ...(server.dashboardUrl === null
          ? []
          : [`Queues:  ${server.dashboardUrl}  (any user name, the admin key as password)`]),
        ...loaded.settings.notes.map((note) => `Note: ${note}`),
      ].join('\n'),
    json: (server, loaded, directory) => ({
      role: options.role,
      url: server.url === '' ? null : server.url,
      dashboard_url: server.dashboardUrl,
      stores: describeStores(loaded.environment, directory),
      ...(options.role === 'worker' ? { providers: serves(loaded) } : {}),
      notes: loaded.settings.notes,
    }),
  });
}

const enabledProviders = ({ settings }: Loaded): string[] =>
  Object.values(settings.providers)
    .filter((provider) => provider.enabled)
    .map((provider) => provider.id);

export function apiCommand(): Command {
  return serverCommand(
    'api',
    'start the HTTP API alone; workers run elsewhere',
    '  waybill api                      on WAYBILL_HOST:WAYBILL_PORT, 127.0.0.1:4700 unless set\n  WAYBILL_HOST=0.0.0.0 waybill api  for other machines',
  ).action((flags: Flags) => run(flags, { role: 'api', defaultPort: apiPort }));
}

export function workerCommand(): Command {
  return serverCommand(
    'worker',
    'start the pools, the dispatcher, the sweep and the webhook sender',
    '  waybill worker                         serves every configured provider\n  waybill worker --providers ollama,vllm  only these\n  WAYBILL_PORT=8080 waybill worker        with /healthz and /readyz',
  )
    .option('--providers <ids>', 'serve the queues of these providers only, separated by commas')
    .action((flags: Flags) =>
      run(flags, { role: 'worker', defaultPort: null, providersOf: (loaded) => chosenProviders(flags, loaded) }),
    );
}

export function dashboardsCommand(): Command {
  return serverCommand(
    'dashboards',
    'start the dashboards alone, to keep them away from the API',
    '  waybill dashboards               on 127.0.0.1:4701 unless WAYBILL_HOST and WAYBILL_PORT say otherwise',
  ).action((flags: Flags) => run(flags, { role: 'dashboards', defaultPort: dashboardsPort }));
}

/** null: all of them. */
function chosenProviders({ providers }: Flags, { settings }: Loaded): string[] | null {
  if (providers === undefined) return null;
  const ids = providers
    .split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '');
  const known = Object.keys(settings.providers);
  const unknown = ids.find((id) => !known.includes(id));
  if (ids.length === 0 || unknown !== undefined)
    throw new Problem(
      'invalid_usage',
      `Cannot serve ${unknown === undefined ? 'no provider' : `"${unknown.slice(0, 60)}"`}: configured are ${known.join(', ') || 'none'}${nearestHint(unknown ?? '', known)}`,
    );
  return ids;
}

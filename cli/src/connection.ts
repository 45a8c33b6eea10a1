/** Which server the command talks to, and with which key. */
import { type Client, createClient } from '@waybill/producer/client/client.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { Command } from 'commander';
import { defaultDataDirectory, findAdminKey } from './data-directory.ts';
import { say } from './output.ts';

export interface ConnectionFlags {
  readonly url?: string;
  readonly apiKey?: string;
  readonly json?: boolean;
}

const defaultUrl = 'http://127.0.0.1:4700';

export function withConnection(command: Command): Command {
  return command
    .option('--url <url>', `address of the server (WAYBILL_URL, else ${defaultUrl})`)
    .option('--api-key <key>', 'API key (WAYBILL_API_KEY, else the admin key of a server started in this folder)')
    .option('--json', 'print one JSON object on standard output');
}

/** @throws Problem `missing_api_key invalid_url` */
export function connect(flags: ConnectionFlags, env: NodeJS.ProcessEnv = process.env): { client: Client; url: string } {
  const url = flags.url ?? (env.WAYBILL_URL || defaultUrl);
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new Problem('invalid_url', `Cannot use --url: "${url.slice(0, 100)}" is not an http or https address`, {
      param: 'url',
    });
  if (flags.apiKey) say('Note: a key on the command line is visible in the process list; set WAYBILL_API_KEY instead.');
  const directory = env.WAYBILL_DATA_DIR || defaultDataDirectory;
  const apiKey = flags.apiKey ?? (env.WAYBILL_API_KEY || findAdminKey(directory));
  if (!apiKey) {
    throw new Problem(
      'missing_api_key',
      `Cannot sign in: set WAYBILL_API_KEY, or run this in the folder where "waybill up" was started (no ${directory}/admin-key here)`,
    );
  }
  return { client: createClient({ url, apiKey }), url };
}

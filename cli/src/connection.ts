/** Which server the command talks to, and with which key. */
import { ApiError, type Client, createClient } from '@waybill/producer/client/client.ts';
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

interface Key {
  readonly text: string;
  /** Where it came from, for the message when it is refused. */
  readonly source: string;
}

/** @throws Problem `missing_api_key invalid_api_key invalid_url` */
export function connect(flags: ConnectionFlags, env: NodeJS.ProcessEnv = process.env): { client: Client; url: string } {
  const url = flags.url ?? (env.WAYBILL_URL || defaultUrl);
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new Problem('invalid_url', `Cannot use --url: "${url.slice(0, 100)}" is not an http or https address`, {
      param: 'url',
    });
  if (flags.apiKey) say('Note: a key on the command line is visible in the process list; set WAYBILL_API_KEY instead.');
  const key = findKey(flags, env);
  if (!/^[\x21-\x7e]+$/.test(key.text))
    throw new Problem(
      'invalid_api_key',
      `Cannot use the API key from ${key.source}: it holds a space or control character`,
    );
  return { client: explain(createClient({ url, apiKey: key.text }), url, key), url };
}

function findKey(flags: ConnectionFlags, env: NodeJS.ProcessEnv): Key {
  if (flags.apiKey) return { text: flags.apiKey, source: '--api-key' };
  if (env.WAYBILL_API_KEY) return { text: env.WAYBILL_API_KEY, source: 'WAYBILL_API_KEY' };
  const directory = env.WAYBILL_DATA_DIR || defaultDataDirectory;
  const text = findAdminKey(directory);
  if (text) return { text, source: `${directory}/admin-key` };
  throw new Problem(
    'missing_api_key',
    `Cannot sign in: set WAYBILL_API_KEY, or run this in the folder where "waybill up" was started (no ${directory}/admin-key here)`,
  );
}

/** What the server cannot know: which key was refused, and that something else answers at the address. */
function explain(client: Client, url: string, key: Key): Client {
  const explained = (error: unknown): never => {
    if (!(error instanceof ApiError)) throw error;
    if (error.requestId === null) throw notWaybill(url, error);
    if (error.status !== 401 && error.status !== 403) throw error;
    throw new ApiError(error.status, {
      message: `${error.message}. The key begins with ${beginningOf(key.text)}, from ${key.source}`,
      code: error.code,
      param: error.param,
      request_id: error.requestId,
    });
  };
  const calls = Object.entries(client as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>).map(
    ([name, call]) => [
      name,
      async (...args: unknown[]) => {
        const value = await call(...args).catch(explained);
        // A page instead of JSON is parsed to nothing.
        if (value === null) throw notWaybill(url, null);
        return value;
      },
    ],
  );
  return Object.fromEntries(calls) as unknown as Client;
}

const notWaybill = (url: string, cause: unknown): Problem =>
  new Problem('server_unreachable', `Cannot use ${url}: something answers there, but it is not Waybill`, { cause });

/** The public part of a key of ours; of anything else just enough to tell what it is. */
const beginningOf = (key: string): string => /^wb_[0-9a-f]{16}_/.exec(key)?.[0] ?? `${key.slice(0, 3)}…`;

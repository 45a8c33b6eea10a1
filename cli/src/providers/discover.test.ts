/** Which model is proposed, and that a server cannot put words of its own into the file. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { configurationText } from './configuration-text.ts';
import { type Discovery, discover } from './discover.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serving(models: readonly string[]): Promise<string> {
  const server = createServer((_request, response) => {
    response.end(JSON.stringify({ data: models.map((id) => ({ id })) }));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

const options = { timeoutMs: 10_000, signal: new AbortController().signal };
const found = (env: NodeJS.ProcessEnv, local: readonly string[] = [], firstModel = 'first'): Promise<Discovery> =>
  discover(
    env,
    () => Promise.resolve(local.map((endpoint) => ({ preset: 'vllm', endpoint, firstModel }))),
    options,
    () => undefined,
  );

test.for<[string, string[], NodeJS.ProcessEnv, string | null]>([
  ['the default, where it is listed', ['a', 'gpt-4.1-mini'], {}, 'gpt-4.1-mini'],
  ['the first that writes text, where it is not', ['text-embedding-3', 'b', 'c'], {}, 'b'],
  ['none, where all embed', ['text-embedding-3'], {}, null],
  ['what the environment names, listed or not', ['a'], { OPENAI_MODEL: 'mine' }, 'mine'],
])('the model is %s', async ([, models, env, expected]) => {
  const { providers } = await found({ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: await serving(models), ...env });
  expect(providers).toMatchObject([{ id: 'openai', variable: 'OPENAI_API_KEY', problem: null, model: expected }]);
});

test('local servers come first, and two of one kind are told apart', async () => {
  const { providers } = await found({ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: await serving(['gpt-4.1-mini']) }, [
    await serving(['first', 'other']),
    await serving(['first']),
  ]);
  expect(providers.map(({ id, model }) => `${id}/${model}`)).toEqual([
    'vllm/first',
    'vllm-2/first',
    'openai/gpt-4.1-mini',
  ]);
});

test('a name that a file would read as something else is left out', async () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what a hostile server would like to be replaced by a secret.
  const hostile = ['${OPENAI_API_KEY}', 'a\nproviders: {}', 'fine'];
  const { providers, notes } = await found({}, [await serving(hostile)], 'fine');
  expect(providers).toMatchObject([{ models: ['fine'], model: 'fine' }]);
  expect(configurationText(providers, notes)).not.toContain('OPENAI_API_KEY');
});

test('what does not answer is there, with the reason and a remedy', async () => {
  const { providers } = await found({ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' });
  expect(providers).toMatchObject([
    { problem: 'cannot be reached (ECONNREFUSED)', remedy: expect.stringContaining('check the address') },
  ]);
});

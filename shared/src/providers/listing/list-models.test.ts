import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Secret } from '../../security/secret.ts';
import { failure } from '../dialect.ts';
import type { ModelListing } from '../presets.ts';
import { authHeaders } from './auth-headers.ts';
import { type ListOptions, listBounds, listModels } from './list-models.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
const stack: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of stack.splice(0)) await each.close();
});

/** A provider of one's own, and what it was asked. */
async function provider(handler: Handler): Promise<{ endpoint: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    handler(request, response);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  stack.push({
    close: () =>
      new Promise((closed) => {
        server.closeAllConnections();
        server.close(() => closed());
      }),
  });
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const list = (listing: ModelListing, endpoint: string, more: Partial<ListOptions> = {}) =>
  listModels({ endpoint, listing, headers: {}, signal: AbortSignal.timeout(20_000), ...more });
const says =
  (body: unknown, status = 200): Handler =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
const names = (result: Awaited<ReturnType<typeof list>>) =>
  result.kind === 'models' ? result.models.map(({ id }) => id) : result;

describe('a list', () => {
  test('is asked with the headers that prove who asks', async () => {
    const seen: unknown[] = [];
    const { endpoint, asked } = await provider((request, response) => {
      seen.push(request.headers['x-api-key'], request.headers['anthropic-version']);
      says({ data: [{ id: 'claude-a' }], has_more: false })(request, response);
    });
    const headers = authHeaders('anthropic', new Secret('sk-1'), null);
    expect(await list('anthropic', endpoint, { headers })).toMatchObject({ kind: 'models', isComplete: true });
    expect([...asked, ...seen]).toEqual(['GET /models?limit=1000', 'sk-1', '2023-06-01']);
  });

  test('of many pages is read to its end, each model once', async () => {
    const pages: Record<string, object> = {
      '/models?pageSize=1000': { models: [{ name: 'models/a' }, { name: 'models/b' }], nextPageToken: 'p 2' },
      '/models?pageSize=1000&pageToken=p+2': { models: [{ name: 'models/b' }, { name: 'models/c' }] },
    };
    const { endpoint } = await provider((request, response) => says(pages[request.url ?? ''] ?? {})(request, response));
    const result = await list('gemini', endpoint);
    expect([names(result), result]).toEqual([['a', 'b', 'c'], expect.objectContaining({ isComplete: true })]);
  });

  test('that goes on for ever is left after twenty pages, and is not whole', async () => {
    let page = 0;
    const { endpoint, asked } = await provider((request, response) => {
      page += 1;
      says({ models: [{ name: `m${page}` }], next_page_token: `p${page}` })(request, response);
    });
    const result = await list('cohere', endpoint);
    expect([names(result), asked.length]).toEqual([
      Array.from({ length: 20 }, (_, n) => `m${n + 1}`),
      listBounds.pages,
    ]);
    expect(result).toMatchObject({ isComplete: false });
  });

  test('that goes round is left where it began again, and is not whole', async () => {
    const { endpoint, asked } = await provider(says({ models: [{ name: 'm' }], next_page_token: 'same' }));
    const result = await list('cohere', endpoint);
    expect([names(result), asked.length]).toEqual([['m'], 2]);
    expect(result).toMatchObject({ isComplete: false });
  });

  test('of too many models is cut, and is not whole', async () => {
    const { endpoint } = await provider(says({ data: Array.from({ length: 10_001 }, (_, n) => ({ id: `m${n}` })) }));
    const result = await list('openai', endpoint);
    expect(result).toMatchObject({ kind: 'models', isComplete: false });
    expect(names(result)).toHaveLength(listBounds.models);
  });

  test('that a provider does not have is not asked, and nothing is missing from it', async () => {
    expect(await list('none', 'http://127.0.0.1:1')).toEqual({ kind: 'models', models: [], isComplete: false });
  });
});

describe('a list that does not come is a failure that says why', () => {
  test.for<[string, Handler, object]>([
    ['a refusal', says({ error: { message: 'sk-secret' } }, 401), { kind: 'refused', status: 401, failure: 'auth' }],
    ['a limit', says('', 429), { kind: 'refused', status: 429, failure: 'rate_limit' }],
    ['a wrong address', says('<html>', 404), { kind: 'refused', status: 404, failure: 'config' }],
    ['a page in another place', says('', 302), { kind: 'refused', status: 302, failure: 'unknown' }],
    ['a server in trouble', says('oh', 500), { kind: 'refused', status: 500, failure: 'server_error' }],
    ['a page for people', says('<!doctype html><p>Sign in'), { kind: 'unreadable', reason: 'not_json' }],
    ['nothing', says(''), { kind: 'unreadable', reason: 'not_json' }],
    ['half of it', says('{"data": [{"id":'), { kind: 'unreadable', reason: 'not_json' }],
    ['a nest', says('['.repeat(5_000)), { kind: 'unreadable', reason: 'not_json' }],
    ['something else', says({ hello: 'world' }), { kind: 'unreadable', reason: 'not_a_list' }],
    [
      'more than eight megabytes',
      says(`"${'x'.repeat(listBounds.bytes)}"`),
      { kind: 'unreadable', reason: 'too_large' },
    ],
    [
      'a broken connection',
      (_request, response) => response.destroy(),
      { kind: 'unreachable', code: 'UND_ERR_SOCKET' },
    ],
  ])('%s', async ([, handler, expected]) => {
    const { endpoint } = await provider(handler);
    expect(await list('openai', endpoint)).toEqual(expected);
  });

  test('nobody there', async () => {
    const { endpoint } = await provider(says({}));
    for (const each of stack.splice(0)) await each.close();
    expect(await list('openai', endpoint)).toEqual({ kind: 'unreachable', code: 'ECONNREFUSED' });
  });

  test('no address', async () => {
    expect(await list('openai', 'not an address')).toMatchObject({ kind: 'unreachable' });
  });

  test('a signal that came first', async () => {
    const stop = new AbortController();
    const { endpoint } = await provider(() => stop.abort());
    expect(await list('openai', endpoint, { signal: stop.signal })).toEqual({ kind: 'unreachable', code: 'aborted' });
  });

  test('a refusal of a later page, so that half a list is never taken for one', async () => {
    const { endpoint } = await provider((request, response) =>
      request.url?.includes('after_id')
        ? says('', 503)(request, response)
        : says({ data: [{ id: 'a' }], has_more: true, last_id: 'a' })(request, response),
    );
    expect(await list('anthropic', endpoint)).toEqual({ kind: 'refused', status: 503, failure: 'overloaded' });
  });

  test('what the dialect reads out of a refusal, which its status does not say', async () => {
    const { endpoint } = await provider(says({ error: { details: [{ reason: 'API_KEY_INVALID' }] } }, 400));
    const readError: ListOptions['readError'] = ({ status, body }) =>
      failure(status === 400 && body.includes('API_KEY_INVALID') ? 'auth' : 'unknown', 'as the dialect says');
    expect(await list('gemini', endpoint, { readError })).toEqual({ kind: 'refused', status: 400, failure: 'auth' });
  });
});

describe('a list of Ollama', () => {
  const tags = { models: [{ name: 'llama3.2:latest' }, { name: 'qwen3:8b' }] };
  const shown = {
    model_info: { 'general.architecture': 'llama', 'llama.context_length': 131_072 },
    capabilities: ['tools'],
  };
  const server =
    (loaded: Handler, show: Handler): Handler =>
    (request, response) => {
      if (request.url === '/api/tags') return says(tags)(request, response);
      return request.url === '/api/ps' ? loaded(request, response) : show(request, response);
    };

  test('says what each model was trained for, and what the loaded ones were given', async () => {
    const loaded = says({ models: [{ name: 'llama3.2:latest', context_length: 4_096 }] });
    const { endpoint, asked } = await provider(server(loaded, says(shown)));
    expect(await list('ollama', `${endpoint}/`)).toMatchObject({
      models: [
        { id: 'llama3.2:latest', trainedWindow: 131_072, contextWindow: 4_096, status: 'loaded', has: ['tools'] },
        { id: 'qwen3:8b', trainedWindow: 131_072, contextWindow: null, status: 'unloaded' },
      ],
      isComplete: true,
    });
    expect(asked).toEqual(['GET /api/tags', 'GET /api/ps', 'POST /api/show', 'POST /api/show']);
  });

  test('is a list though the details do not come', async () => {
    const { endpoint } = await provider(server(says('', 404), says('', 500)));
    expect(await list('ollama', endpoint)).toMatchObject({
      models: [
        { id: 'llama3.2:latest', trainedWindow: null, contextWindow: null, status: null },
        { id: 'qwen3:8b', status: null },
      ],
    });
  });
});

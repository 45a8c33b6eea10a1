/**
 * One server on loopback that is every provider at once.
 *
 * Each conversation with it has an address of its own, so that many can run side by side: what is scripted for one,
 * and what was seen of it, is never mixed with another. A broken request is refused as its provider would.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { anthropicProvider } from './anthropic.ts';
import { azureProvider } from './azure-openai.ts';
import { cohereProvider } from './cohere.ts';
import { geminiProvider } from './gemini.ts';
import { ollamaProvider } from './ollama.ts';
import { openaiProviders } from './openai-servers.ts';
import { BrokenRequest, type Json, recordOf } from './shape.ts';
import type { Asked, FakeProvider, Heard, Said, Surface } from './wire.ts';

export const fakeProviders: Readonly<Record<string, FakeProvider>> = {
  ...openaiProviders,
  anthropic: anthropicProvider,
  gemini: geminiProvider,
  'azure-openai': azureProvider,
  cohere: cohereProvider,
  ollama: ollamaProvider,
};

export type Reply =
  /** @property pieceBytes sends the answer in writes of so many bytes @property isWhole as one document, whatever was asked */
  | {
      readonly kind: 'says';
      readonly said: Said;
      readonly pieceBytes?: number;
      readonly isWhole?: boolean;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'refuses';
      readonly status: number;
      readonly body: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'raw';
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body: string | Buffer;
    }
  /** The half of an answer, and then what the fault says. */
  | { readonly kind: 'breaks'; readonly said: Said; readonly fault: Fault };

/**
 * `cut`: the connection is destroyed. `stall`: silence. `ends`: the body ends as if whole. `error`: the provider tells
 * an overload. `no_end`: all is there but the last frame. `hang`: not a byte. `reset`: destroyed before a byte.
 */
export type Fault = 'cut' | 'stall' | 'ends' | 'error' | 'no_end' | 'hang' | 'reset';

export interface Seen {
  readonly asked: Asked;
  /** null: the request was refused. */
  readonly heard: Heard | null;
  /** Why it was refused; null when it was taken. */
  readonly refused: string | null;
}

/** One conversation: its address, and every HTTP request that came to it. */
export interface Line {
  /** The address of the server, without the root of the provider's API. */
  readonly origin: string;
  /** The address as a provider is configured with it. */
  readonly endpoint: string;
  readonly seen: readonly Seen[];
}

export interface FakeProviders {
  /** Replies are used in order, and the last one for all that follow. */
  open(provider: string, ...replies: readonly [Reply, ...Reply[]]): Line;
  stop(): Promise<void>;
}

interface Conversation {
  readonly provider: FakeProvider;
  readonly replies: readonly Reply[];
  readonly seen: Seen[];
}

export async function startFakeProviders(): Promise<FakeProviders> {
  const conversations = new Map<string, Conversation>();
  const server = createServer(async (request, response) => {
    const [, key = '', rest = ''] = /^\/(line-\d+)(\/.*)$/.exec(request.url ?? '') ?? [];
    const conversation = conversations.get(key);
    if (!conversation) return void response.writeHead(421).end();
    try {
      await answer(conversation, rest, request, response);
    } catch (error) {
      // A mistake of the fake itself: told at once, where the test would wait for its timeout.
      response.writeHead(500, { 'content-type': 'text/plain' }).end(String(error));
    }
  });
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    open(name, ...replies) {
      const provider = fakeProviders[name];
      if (!provider) throw new Error(`Cannot open a line: no fake is named "${name}"`);
      const seen: Seen[] = [];
      const key = `line-${conversations.size + 1}`;
      conversations.set(key, { provider, replies, seen });
      // Azure is configured with the address of its resource.
      const root = name === 'azure-openai' ? '' : provider.root;
      return { origin: `${address}/${key}`, endpoint: `${address}/${key}${root}`, seen };
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(
  conversation: Conversation,
  url: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { provider, replies, seen } = conversation;
  const asked = await read(provider, url, request);
  const refuse = (status: number, message: string, code: string | null = null, param: string | null = null) => {
    seen.push({ asked, heard: null, refused: message });
    send(response, status, JSON.stringify(provider.error(status, message, code, param)));
  };
  const surface = provider.surfaces.find(({ path }) => path.test(asked.path));
  if (!surface || !url.startsWith(provider.root) || request.method !== 'POST')
    return refuse(404, `Unknown path: ${url}`);
  try {
    surface.check(asked);
  } catch (error) {
    if (!(error instanceof BrokenRequest)) throw error;
    return refuse(error.status, error.message, error.code, error.param);
  }
  seen.push({ asked, heard: surface.hear(asked), refused: null });
  const reply = replies[Math.min(seen.length, replies.length) - 1];
  if (reply) await play(reply, provider, surface, asked, response);
}

async function read(provider: FakeProvider, url: string, request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { pathname, searchParams } = new URL(url, 'http://fake');
  return {
    path: pathname.slice(provider.root.length),
    query: searchParams,
    headers: request.headers as Record<string, string>,
    body: bodyOf(Buffer.concat(chunks).toString('utf8')),
    ignored: [],
  };
}

function bodyOf(text: string): Json {
  try {
    return recordOf(JSON.parse(text));
  } catch {
    return {};
  }
}

const send = (response: ServerResponse, status: number, body: string | Buffer, headers = {}): void =>
  void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);

async function play(
  reply: Reply,
  provider: FakeProvider,
  surface: Surface,
  asked: Asked,
  response: ServerResponse,
): Promise<void> {
  const id = provider.requestIdHeader === null ? {} : { [provider.requestIdHeader]: 'req-fake-1' };
  if (reply.kind === 'refuses') {
    const body = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
    return send(response, reply.status, body, { ...id, ...reply.headers });
  }
  if (reply.kind === 'raw') return send(response, reply.status ?? 200, reply.body, { ...id, ...reply.headers });
  const isStreamed = surface.isStreamed(asked) && !(reply.kind === 'says' && reply.isWhole);
  const frames = isStreamed ? surface.frames(reply.said, asked) : [JSON.stringify(surface.whole(reply.said, asked))];
  const headers = { ...id, 'content-type': isStreamed ? surface.streamType : 'application/json' };
  if (reply.kind === 'breaks') return breakOff(reply.fault, frames, surface.midStreamError, response, headers);
  response.writeHead(200, { ...headers, ...reply.headers });
  const bytes = Buffer.from(frames.join(''));
  for (let at = 0; at < bytes.length; at += reply.pieceBytes ?? bytes.length) {
    response.write(bytes.subarray(at, at + (reply.pieceBytes ?? bytes.length)));
    if (reply.pieceBytes !== undefined) await new Promise((resolve) => setImmediate(resolve));
  }
  response.end();
}

function breakOff(
  fault: Fault,
  frames: readonly string[],
  error: string,
  response: ServerResponse,
  headers: Record<string, string>,
): void {
  if (fault === 'hang') return;
  if (fault === 'reset') return void response.destroy();
  response.writeHead(200, headers);
  if (fault === 'no_end') return void response.end(frames.slice(0, -1).join(''));
  if (fault === 'error') return void response.end(frames.slice(0, Math.ceil(frames.length / 2)).join('') + error);
  const whole = frames.join('');
  const half = whole.slice(0, Math.floor(whole.length / 2));
  if (fault === 'ends') return void response.end(half);
  response.write(half, () => {
    if (fault === 'cut') response.destroy();
  });
}

/**
 * Providers on loopback: aimock answers in the wire formats of OpenAI, Anthropic and Ollama, and a thin layer of ours
 * in front of each adds faults and counts calls.
 */
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LLMock } from '@copilotkit/aimock';
import { chooseFault, demoRates } from './faults.ts';
import { answerText } from './simulated-answers.ts';

export type SimulatedId = keyof typeof demoRates;

export interface SimulatedProviders {
  /** Addresses without a path. */
  readonly urls: Readonly<Record<SimulatedId, string>>;
  /** Requests each has seen, faults included. */
  readonly calls: Readonly<Record<SimulatedId, number>>;
  stop(): Promise<void>;
}

const slowest = { openai: 260, anthropic: 200, ollama: 120 };

export async function startSimulatedProviders(random: () => number = Math.random): Promise<SimulatedProviders> {
  const mock = new LLMock({ port: 0, logLevel: 'silent', journalMaxEntries: 1 });
  mock.on({ predicate: () => true }, (request) => {
    const prompt = request.messages
      .map((message) => (typeof message.content === 'string' ? message.content : ''))
      .join('\n');
    const content = answerText(prompt);
    const input = Math.ceil(prompt.length / 4);
    const output = Math.ceil(content.length / 4);
    return {
      content,
      usage: {
        prompt_tokens: input,
        completion_tokens: output,
        total_tokens: input + output,
        input_tokens: input,
        output_tokens: output,
      },
    };
  });
  await mock.start();
  const calls = { openai: 0, anthropic: 0, ollama: 0 };
  const layers = await Promise.all(
    (Object.keys(calls) as SimulatedId[]).map((id) =>
      startLayer((request, response) => {
        calls[id] += 1;
        void play(id, random, mock.url, request, response);
      }).then((layer) => [id, layer] as const),
    ),
  );
  return {
    urls: Object.fromEntries(layers.map(([id, layer]) => [id, layer.url])) as Record<SimulatedId, string>,
    calls,
    async stop() {
      await Promise.all(layers.map(([, layer]) => layer.stop()));
      await mock.stop();
    },
  };
}

async function startLayer(
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createServer(onRequest);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function play(
  id: SimulatedId,
  random: () => number,
  mockUrl: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const fault = chooseFault(demoRates[id], random());
  if (fault === 'hang') return void request.resume(); // Accepts, and never answers.
  if (fault === 'rate_limit') return refuse(response, 429, 'rate_limit_exceeded', { 'retry-after': '1' });
  if (fault === 'server_error') return refuse(response, 500, 'server_error');
  if (fault === 'overloaded') return refuse(response, id === 'anthropic' ? 529 : 503, 'overloaded_error');
  await new Promise((resolve) => setTimeout(resolve, 20 + random() * slowest[id]));
  if (fault === 'cut') return cut(response);
  const target = new URL(request.url ?? '/', mockUrl);
  const { host: _host, ...headers } = request.headers;
  const inner = forward(target, { method: request.method ?? 'POST', headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  inner.on('error', () => response.destroy());
  request.pipe(inner);
}

function refuse(response: ServerResponse, status: number, type: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ type: 'error', error: { type, code: type, message: 'simulated' } }));
}

/** Half an answer, then the connection ends. */
function cut(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '2000' });
  response.write('{"id":"cut","choices":[{"message":{"role":"assistant","content":"It was the');
  setImmediate(() => response.destroy());
}

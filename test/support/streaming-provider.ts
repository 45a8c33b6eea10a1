/** A provider on loopback that streams in OpenAI's shape, one step after the other, as a test lets it. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A text is sent as a piece; a promise is waited for; `cut` ends the connection in the middle, and a status refuses. */
export type Step = string | Promise<unknown> | { readonly reasoning: string } | { readonly status: number };
export const cut = { status: 0 } as const;

export interface StreamingProvider {
  readonly url: string;
  readonly bodies: Record<string, unknown>[];
  stop(): Promise<void>;
}

/** @param script by the text of the first message, and the number of the request with that text, from 1 */
export async function startStreamingProvider(
  script: (prompt: string, n: number) => readonly Step[],
): Promise<StreamingProvider> {
  const bodies: Record<string, unknown>[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    // Somebody looks whether it is there.
    if (request.method !== 'POST') return void response.end('{"object":"list","data":[]}');
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>;
    const prompt = promptOf(body);
    bodies.push(body);
    const n = bodies.filter((each) => promptOf(each) === prompt).length;
    const steps = script(prompt, n);
    if (body.stream === true) await stream(steps, response);
    else await sendWhole(steps, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    bodies,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

const promptOf = (body: Record<string, unknown>): string =>
  String((body.messages as { content?: unknown }[])[0]?.content ?? '');

async function stream(steps: readonly Step[], response: ServerResponse): Promise<void> {
  const send = (delta: object, finish: string | null = null) =>
    response.write(
      `data: ${JSON.stringify({ id: 'c', model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`,
    );
  for (const step of steps) {
    if (typeof step === 'object' && 'status' in step) {
      if (step.status === 0) return void response.destroy();
      response.writeHead(step.status, { 'content-type': 'application/json' });
      return void response.end('{"error":{"message":"no"}}');
    }
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (step instanceof Promise) await step;
    else if (typeof step === 'string') send({ content: step });
    else send({ reasoning_content: step.reasoning });
  }
  send({}, 'stop');
  response.write('data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n');
  response.end('data: [DONE]\n\n');
}

async function sendWhole(steps: readonly Step[], response: ServerResponse): Promise<void> {
  for (const step of steps) if (step instanceof Promise) await step;
  const content = steps.filter((step) => typeof step === 'string').join('');
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(
    JSON.stringify({
      id: 'c',
      model: 'm',
      choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 3, completion_tokens: 5 },
    }),
  );
}

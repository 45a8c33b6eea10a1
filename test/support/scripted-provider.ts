/**
 * A provider on loopback that does what a test says, and remembers every request it saw.
 *
 * It speaks the shape of whichever path is called: OpenAI, Anthropic or Ollama. Faults are part of the script.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Reply =
  | {
      readonly kind: 'text';
      readonly text: string;
      readonly delayMs?: number;
      readonly model?: string;
      readonly usage?: boolean;
      readonly finish?: 'stop' | 'length';
      readonly headers?: Record<string, string>;
    }
  /** A vector of one number for each input of a request for embeddings. */
  | { readonly kind: 'vectors'; readonly of: (input: string, index: number) => number }
  /** A streamed answer of OpenAI's, piece by piece; after the last one the connection ends (`cut`), or says no more (`stall`). */
  | { readonly kind: 'stream'; readonly pieces: readonly string[]; readonly end: 'done' | 'cut' | 'stall' }
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly body?: unknown;
      readonly headers?: Record<string, string>;
    }
  | { readonly kind: 'raw'; readonly status?: number; readonly contentType?: string; readonly body: string | Buffer }
  /** Accepts, and never answers. */
  | { readonly kind: 'hang' }
  /** Sends half an answer, and ends the connection. */
  | { readonly kind: 'cut' }
  /** Ends the connection before any byte. */
  | { readonly kind: 'reset' };

export interface SeenRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
  /** The text of the last message. */
  readonly prompt: string;
  /** How many requests were open at once when this one came, itself included. */
  readonly open: number;
  /** The credential it came with. */
  readonly credential: string;
  /** By the monotonic clock. */
  readonly atMs: number;
  isClosedEarly: boolean;
}

export interface ScriptedProvider {
  /** `http://127.0.0.1:<port>`; append `/v1` for OpenAI and Anthropic. */
  readonly url: string;
  readonly requests: SeenRequest[];
  stop(): Promise<void>;
}

export const say = (text: string, more: Partial<Extract<Reply, { kind: 'text' }>> = {}): Reply => ({
  kind: 'text',
  text,
  ...more,
});
export const refuse = (status: number, body?: unknown, headers?: Record<string, string>): Reply => ({
  kind: 'error',
  status,
  ...(body === undefined ? {} : { body }),
  ...(headers === undefined ? {} : { headers }),
});

/** @param script answers the n-th request, counted from 1 */
export async function startScriptedProvider(
  script: (request: SeenRequest, n: number) => Reply | Promise<Reply>,
): Promise<ScriptedProvider> {
  const requests: SeenRequest[] = [];
  let open = 0;
  const server = createServer(async (request, response) => {
    // Waybill asks servers whether they are well; that is no call, and not the script's.
    if (request.method === 'GET') return void response.end('{"object":"list","data":[]}');
    open += 1;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}') as Record<string, unknown>;
    const seen: SeenRequest = {
      path: request.url ?? '',
      headers: request.headers,
      body,
      prompt: promptOf(body),
      open,
      credential: (request.headers.authorization ?? '').replace('Bearer ', ''),
      atMs: performance.now(),
      isClosedEarly: false,
    };
    requests.push(seen);
    response.on('close', () => {
      open -= 1;
      seen.isClosedEarly = !response.writableFinished;
    });
    await play(await script(seen, requests.length), seen, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function play(reply: Reply, request: SeenRequest, response: ServerResponse): Promise<void> {
  if (reply.kind === 'hang') return;
  if (reply.kind === 'reset') return void response.destroy();
  if (reply.kind === 'raw') {
    response.writeHead(reply.status ?? 200, { 'content-type': reply.contentType ?? 'application/json' });
    return void response.end(reply.body);
  }
  if (reply.kind === 'error') {
    response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers });
    return void response.end(
      JSON.stringify(reply.body ?? { error: { message: `status ${reply.status}`, type: 'test', code: null } }),
    );
  }
  if (reply.kind === 'cut') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
    response.write('{"id":"x","choices":[');
    setImmediate(() => response.destroy());
    return;
  }
  if (reply.kind === 'vectors') {
    response.writeHead(200, { 'content-type': 'application/json' });
    return void response.end(JSON.stringify(vectorsFor(request, reply)));
  }
  if (reply.kind === 'stream') return playStream(reply, request, response);
  if (reply.delayMs) await new Promise((resolve) => setTimeout(resolve, reply.delayMs));
  const answer = answerFor(request, reply);
  response.writeHead(200, { 'content-type': 'application/json', 'x-request-id': 'test-request', ...reply.headers });
  response.end(JSON.stringify(answer));
}

async function playStream(
  { pieces, end }: Extract<Reply, { kind: 'stream' }>,
  { body, prompt }: SeenRequest,
  response: ServerResponse,
): Promise<void> {
  const send = (event: unknown) =>
    new Promise<void>((resolve) =>
      response.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`, () => resolve()),
    );
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const chunk = { id: 'chatcmpl-test', object: 'chat.completion.chunk', model: body.model };
  for (const content of pieces)
    await send({ ...chunk, choices: [{ index: 0, delta: { content }, finish_reason: null }] });
  if (end === 'cut') return void response.destroy();
  if (end === 'stall') return;
  const [input, output] = [tokensOf(prompt), tokensOf(pieces.join(''))];
  await send({ ...chunk, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
  await send({
    ...chunk,
    choices: [],
    usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
  });
  await send('[DONE]');
  response.end();
}

/** One token for each input. */
function vectorsFor({ body }: SeenRequest, { of }: Extract<Reply, { kind: 'vectors' }>): unknown {
  const inputs = typeof body.input === 'string' ? [body.input] : (body.input as string[]);
  return {
    object: 'list',
    model: body.model,
    data: inputs.map((input, index) => ({ object: 'embedding', index, embedding: [of(input, index)] })),
    usage: { prompt_tokens: inputs.length, total_tokens: inputs.length },
  };
}

/** Tokens are counted from the text, so that costs are checkable. */
const tokensOf = (text: string): number => Math.max(1, Math.ceil(text.length / 4));

function answerFor(request: SeenRequest, reply: Extract<Reply, { kind: 'text' }>): unknown {
  const model = reply.model ?? request.body.model;
  const input = tokensOf(request.prompt);
  const output = tokensOf(reply.text);
  const hasUsage = reply.usage !== false;
  if (request.path.endsWith('/messages')) {
    return {
      id: 'msg_test',
      type: 'message',
      role: 'assistant',
      model,
      content: [{ type: 'text', text: reply.text }],
      stop_reason: 'end_turn',
      usage: hasUsage ? { input_tokens: input, output_tokens: output } : {},
    };
  }
  if (request.path.endsWith('/api/chat')) {
    return {
      model,
      message: { role: 'assistant', content: reply.text },
      done: true,
      done_reason: 'stop',
      ...(hasUsage ? { prompt_eval_count: input, eval_count: output } : {}),
    };
  }
  return {
    id: 'chatcmpl-test',
    object: 'chat.completion',
    model,
    choices: [{ index: 0, message: { role: 'assistant', content: reply.text }, finish_reason: reply.finish ?? 'stop' }],
    ...(hasUsage ? { usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output } } : {}),
  };
}

function promptOf(body: Record<string, unknown>): string {
  const last = (body.messages as { content?: unknown }[] | undefined)?.at(-1)?.content;
  if (typeof last === 'string') return last;
  return Array.isArray(last) ? last.map((part: { text?: string }) => part.text ?? '').join('') : '';
}

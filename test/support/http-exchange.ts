/** HTTP as bytes: requests that `fetch` would mend or refuse to send, and the answer as the server wrote it. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface WireRequest {
  readonly method?: string;
  readonly path?: string;
  /** null leaves a header out that would be sent by itself. */
  readonly headers?: Readonly<Record<string, string | string[] | null>>;
  readonly body?: unknown;
  /** The address to call from; another one of 127.0.0.0/8 is another caller. */
  readonly from?: string;
}

const limitMs = 20_000;

/** Sends one request on a connection of its own. A body that is neither text nor bytes is written as JSON. */
export function exchange(url: string, apiKey: string, request: WireRequest): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const body =
    request.body === undefined || typeof request.body === 'string' || Buffer.isBuffer(request.body)
      ? request.body
      : JSON.stringify(request.body);
  const headers: Record<string, string | string[]> = {};
  const given = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', ...request.headers };
  for (const [name, value] of Object.entries(given)) if (value !== null) headers[name] = value;
  return new Promise((resolve, reject) => {
    const sent = httpRequest({
      host: hostname,
      port,
      method: request.method ?? (body === undefined ? 'GET' : 'POST'),
      path: request.path ?? '/v1/jobs',
      headers: body === undefined ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) },
      agent: false,
      timeout: limitMs,
      ...(request.from === undefined ? {} : { localAddress: request.from }),
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer in ${limitMs} ms`)));
    sent.on('error', reject);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    sent.end(body);
  });
}

/** Writes bytes as they are, and reads one answer with a Content-Length, or up to the end of the connection. */
export function exchangeBytes(url: string, bytes: string | Buffer): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => void socket.write(bytes));
    let received = Buffer.alloc(0);
    const finish = (answer: Answer | null) => {
      if (answer === null) return;
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(limitMs, () => socket.destroy(new Error(`no answer in ${limitMs} ms`)));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      finish(parseAnswer(received));
    });
    socket.on('error', reject);
    socket.on('close', () =>
      reject(new Error(`the connection ended after: ${received.toString('utf8').slice(0, 200)}`)),
    );
  });
}

function parseAnswer(received: Buffer): Answer | null {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [statusLine = '', ...lines] = received.subarray(0, end).toString('latin1').split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const body = received.subarray(end + 4);
  if (body.length < Number(headers['content-length'] ?? 0)) return null;
  return { status: Number(statusLine.split(' ')[1]), headers, text: body.toString('utf8') };
}

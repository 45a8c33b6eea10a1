/** A provider and a receiver on loopback, in a process of their own: their CPU is not ours. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const { latencyMs = 0, failFirst = false } = JSON.parse(process.argv[2] ?? '{}') as {
  latencyMs?: number;
  failFirst?: boolean;
};
const answer = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 },
});
let delivered = 0;
const server = createServer((request, response) => {
  const send = (status: number, body: string) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  const reply = () => {
    if (request.url?.startsWith('/first') && failFirst) return send(500, '{"error":{"message":"down"}}');
    return send(200, answer);
  };
  request.resume();
  request.on('end', () => {
    if (request.url === '/hook') {
      delivered += 1;
      response.writeHead(204).end();
    } else if (latencyMs > 0) setTimeout(reply, latencyMs);
    else reply();
  });
});
process.on('message', () => process.send?.(delivered));
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));

/**
 * The fake provider, a process of its own: it outlives every fault, and its clock is not the harness's.
 *
 *     node provider.ts <log file> <seed>
 *
 * Prints its addresses as one line. `PUT /control` of the control address sets the behaviour of one provider. Every call
 * is two lines of the log: `begin`, once its whole body is here, and `end` or `aborted`.
 */
import { openSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { findFreePort } from '../support/server-port.ts';
import {
  answering,
  answerTo,
  type CallEvent,
  type FaultName,
  type PromptTokens,
  type ProviderBehaviour,
  type ProviderName,
  poisonMark,
  providerNames,
  tokensOf,
} from './behaviour.ts';
import { createDice } from './dice.ts';
import { faultAnswers } from './fault-answers.ts';

const [logFile = 'provider.log', seedText = '1'] = process.argv.slice(2);
const seed = Number(seedText);
const log = openSync(logFile, 'a');
const write = (event: CallEvent) => writeSync(log, `${JSON.stringify(event)}\n`);

interface Station {
  readonly server: Server;
  readonly port: number;
  behaviour: ProviderBehaviour;
  open: number;
}

const stations = new Map<ProviderName, Station>();
const callsOfPrompt = new Map<string, number>();
let calls = 0;
const json = { 'content-type': 'application/json' };

for (const name of providerNames) {
  const server = createServer((request, response) => void serve(name, request, response));
  const port = await listen(server, await findFreePort());
  stations.set(name, { server, port, behaviour: answering(50, 200), open: 0 });
}

const control = createServer(async (request, response) => {
  const { provider, behaviour } = JSON.parse(await readBody(request)) as {
    provider: ProviderName;
    behaviour: ProviderBehaviour;
  };
  await behave(stationOf(provider), behaviour);
  response.end('{}');
});
const controlPort = await listen(control, 0);
process.stdout.write(
  `${JSON.stringify({ control: controlPort, ports: Object.fromEntries([...stations].map(([name, { port }]) => [name, port])) })}\n`,
);

function stationOf(name: ProviderName): Station {
  const station = stations.get(name);
  if (!station) throw new Error(`no provider ${name}`);
  return station;
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

async function behave(station: Station, behaviour: ProviderBehaviour): Promise<void> {
  station.behaviour = behaviour;
  const { server, port } = station;
  if (behaviour.mode === 'refuse' && server.listening) {
    server.close();
    server.closeAllConnections();
  }
  if (behaviour.mode !== 'refuse' && !server.listening) await listen(server, port);
}

async function serve(provider: ProviderName, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // A health probe: it is no call, bills nothing, and finds somebody here.
  if (request.method === 'GET') return void response.writeHead(200, json).end('{"object":"list","data":[]}');
  const body = await readBody(request).catch(() => null);
  // A request whose body never came is no call: nothing could be billed for it.
  if (body === null) return;
  const station = stationOf(provider);
  const prompt = promptOf(body);
  calls += 1;
  const call = calls;
  const nth = (callsOfPrompt.get(prompt) ?? 0) + 1;
  callsOfPrompt.set(prompt, nth);
  station.open += 1;
  const { input, output } = tokensOf(prompt);
  const tokens = input + output;
  write({ t: Date.now(), event: 'begin', call, provider, prompt, tokens, open: station.open });
  let isClosed = false;
  const close = (event: 'end' | 'aborted') => {
    if (isClosed) return;
    isClosed = true;
    station.open -= 1;
    const status = event === 'end' ? { status: response.statusCode } : {};
    write({ t: Date.now(), event, call, provider, prompt, tokens, open: station.open, ...status });
  };
  response.once('finish', () => close('end'));
  response.once('close', () => close('aborted'));
  if (request.socket.destroyed) return close('aborted');
  // By prompt and not by order of arrival: the same seed then gives the same job the same answers.
  play(station.behaviour, prompt, createDice(seed, `${provider}/${prompt}/${nth}`), response);
}

function play(
  { mode, latencyMs, errorShare, errorStatuses, faults }: ProviderBehaviour,
  prompt: string,
  dice: ReturnType<typeof createDice>,
  response: ServerResponse,
): void {
  if (mode === 'blackhole' || prompt.startsWith(poisonMark)) return;
  const isError = dice.next() < errorShare;
  if (isError && faults !== undefined) {
    playFault(dice.pick(faults), prompt, dice.between(...latencyMs), response);
    return;
  }
  const status = isError ? dice.pick(errorStatuses) : 200;
  const text = JSON.stringify(isError ? { error: { message: `status ${status}`, type: 'chaos' } } : completion(prompt));
  const headers = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
  setTimeout(
    () => {
      if (response.destroyed) return;
      response.writeHead(status, headers);
      if (mode === 'drip') return drip(text, response);
      if (mode !== 'cut') return void response.end(text);
      response.write(text.slice(0, dice.between(1, text.length - 1)));
      setImmediate(() => response.destroy());
    },
    dice.between(...latencyMs),
  );
}

/** After the same time as an answer, unless it is that none comes. */
function playFault(fault: FaultName, prompt: string, latencyMs: number, response: ServerResponse): void {
  if (fault === 'timeout') return;
  const answer = faultAnswers[fault];
  setTimeout(() => {
    if (response.destroyed) return;
    if (fault === 'network') return void response.socket?.resetAndDestroy();
    const text = JSON.stringify(answer ? { error: answer.error } : completion(prompt, ''));
    response.writeHead(answer?.status ?? 200, {
      ...json,
      'content-length': String(Buffer.byteLength(text)),
      ...answer?.headers,
    });
    if (fault !== 'stream_interrupted') return void response.end(text);
    response.write(text.slice(0, 20));
    setImmediate(() => response.destroy());
  }, latencyMs);
}

function drip(text: string, response: ServerResponse): void {
  let sent = 0;
  const timer = setInterval(() => {
    response.write(text[sent] ?? '');
    sent += 1;
    if (sent === text.length) response.end();
  }, 1_000);
  response.once('close', () => clearInterval(timer));
}

const completion = (prompt: string, content = answerTo(prompt)) => ({
  id: 'chatcmpl-chaos',
  object: 'chat.completion',
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
  usage: usageOf(tokensOf(prompt)),
});

const usageOf = ({ input, output }: PromptTokens) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
});

function promptOf(body: string): string {
  const { messages } = JSON.parse(body) as { messages?: { content?: unknown }[] };
  const content = messages?.at(-1)?.content;
  return typeof content === 'string' ? content : JSON.stringify(content);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

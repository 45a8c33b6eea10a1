/**
 * How soon a job is called for at the next target when the first one fails, in mode `immediate` and with nothing else to
 * do: from the last byte of an answer 500, and with a host that refuses connections from the 202 of the submit. Both
 * targets are in this process, so both ends of a time are read from one clock; Waybill is a process of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Client, createClient } from '@waybill/producer/client/client.ts';
import { startPostgresServer } from '../../test/support/postgres-server.ts';
import { startRedisServer } from '../../test/support/redis-server.ts';
import { adminKey, masterKey } from './fleet.ts';
import { type Figures, figuresOf } from './statistics.ts';

const cli = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));
const warmUp = 20;
const patienceMs = 30_000;

/** By chain: what is wrong with its first target, and where the time begins. */
const chains = {
  failing: 'failure seen -> next target called',
  dead: '202 -> dead host refused -> next target called',
} as const;
type Chain = keyof typeof chains;
const chainNames = Object.keys(chains) as Chain[];

interface Variant {
  readonly store: string;
  readonly client: Client;
}

/** Ours is the far end of every call. */
interface Targets {
  readonly url: string;
  readonly deadUrl: string;
  /** What was seen of the job under way, by `performance.now()`. */
  readonly seen: { refusedAt: number; calledAt: number };
  /** Resolves when the second target is called. */
  nextCall(): Promise<void>;
}

export async function benchFallback(rounds: number): Promise<string[]> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'waybill-bench-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const targets = await startTargets(stack);
  const config = writeConfig(folder, targets);
  const variants = [await startEmbedded(folder, config, stack), await startOnServers(folder, config, stack)];
  const times = new Map<string, number[]>();
  const keep = (name: string, ms: number) => times.set(name, [...(times.get(name) ?? []), ms]);
  for (let round = -warmUp; round < rounds; round += 1) {
    const exchangeMs = await emptyExchange(targets);
    if (round >= 0) keep('', exchangeMs);
    for (const { store, client } of variants)
      for (const chain of chainNames) {
        const ms = await sample(client, chain, targets);
        if (round >= 0) keep(`${chain} ${store}`, ms);
      }
  }
  const figures = (name: string) => figuresOf(times.get(name) ?? []);
  const base = figures('');
  return [
    `${rounds} of each in turn, after ${warmUp} to warm up`,
    line('an empty HTTP exchange on loopback', base),
    ...chainNames.flatMap((chain) => [
      chains[chain],
      ...variants.map(({ store }) => {
        const found = figures(`${chain} ${store}`);
        const embedded = figures(`${chain} ${variants[0]?.store}`);
        return line(`  ${store}`, found, found.median / base.median, found.median / embedded.median);
      }),
    ]),
  ];
}

function line(name: string, { median, p95, p99 }: Figures, ofExchange?: number, ofEmbedded?: number): string {
  const numbers = `p50 ${median.toFixed(1)}  p95 ${p95.toFixed(1)}  p99 ${p99.toFixed(1)} ms`;
  if (ofExchange === undefined || ofEmbedded === undefined) return `${name.padEnd(40)}${numbers}`;
  return `${name.padEnd(40)}${numbers}   ${ofExchange.toFixed(1)}x an exchange, ${ofEmbedded.toFixed(2)}x embedded`;
}

/** One job from submit to its end, so that the next one finds everything idle. */
async function sample(client: Client, chain: Chain, targets: Targets): Promise<number> {
  const called = targets.nextCall();
  const { id } = await client.submit({ model: chain, prompt: 'Say ok.' });
  const acceptedAt = performance.now();
  // The job is asked for afterwards, so that the server does nothing else meanwhile.
  await Promise.race([called, delay(patienceMs, undefined, { ref: false })]);
  const { calledAt, refusedAt } = targets.seen;
  const job = await client.get(id, { wait: '30s' });
  const way = job.attempts.map(({ target, failure }) => `${target} ${failure?.kind ?? 'ok'}`).join(', ');
  if (way !== (chain === 'dead' ? 'dead/m network, second/m ok' : 'failing/m server_error, second/m ok'))
    throw new Error(`Cannot measure: a job went another way (${job.status}: ${way})`);
  return calledAt - (chain === 'dead' ? acceptedAt : refusedAt);
}

/** What two processes' worth of HTTP costs here and now, without any Waybill. */
async function emptyExchange({ url }: Targets): Promise<number> {
  const start = performance.now();
  const response = await fetch(`${url}/empty`, { method: 'POST', body: '{}' });
  await response.text();
  return performance.now() - start;
}

async function startTargets(stack: AsyncDisposableStack): Promise<Targets> {
  const seen = { refusedAt: Number.NaN, calledAt: Number.NaN };
  let onCall: () => void = () => undefined;
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/second')) {
      seen.calledAt = performance.now();
      onCall();
    }
    request.resume();
    request.on('end', () => answer(request, response));
  });
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const isDown = request.url?.startsWith('/failing') === true;
    if (isDown)
      response.on('finish', () => {
        seen.refusedAt = performance.now();
      });
    response.writeHead(isDown ? 500 : 200, { 'content-type': 'application/json' });
    response.end(isDown ? '{"error":{"message":"down"}}' : delivered);
  };
  const url = await listenOnLoopback(server);
  stack.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  // A port that was ours and is closed again refuses.
  const spare = createServer();
  const deadUrl = await listenOnLoopback(spare);
  await new Promise((resolve) => spare.close(resolve));
  return {
    ...{ url, deadUrl, seen },
    nextCall: () =>
      new Promise((resolve) => {
        onCall = resolve;
      }),
  };
}

async function listenOnLoopback(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const delivered = JSON.stringify({
  ...{ id: 'chatcmpl-bench', object: 'chat.completion', model: 'm' },
  choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 },
});

function writeConfig(folder: string, { url, deadUrl }: Targets): string {
  const provider = (endpoint: string) => ({
    ...{ preset: 'openai-compatible', endpoints: [endpoint], health: { probe: false } },
  });
  const chain = (first: string) => ({ targets: [`${first}/m`, 'second/m'], mode: 'immediate' });
  const path = join(folder, 'waybill.json');
  const config = {
    providers: {
      failing: provider(`${url}/failing`),
      dead: provider(deadUrl),
      second: provider(`${url}/second`),
    },
    chains: { default: chain('failing'), failing: chain('failing'), dead: chain('dead') },
    // It would open after the fifth failure, and the next job would begin at the second target.
    breaker: { consecutive_failures: 1_000, minimum_calls: 100_000 },
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

const startEmbedded = (folder: string, config: string, stack: AsyncDisposableStack): Promise<Variant> =>
  startUp('embedded', { folder, config, environment: {} }, stack);

async function startOnServers(folder: string, config: string, stack: AsyncDisposableStack): Promise<Variant> {
  const postgres = await startPostgresServer();
  stack.defer(() => postgres.stop());
  const redis = await startRedisServer();
  stack.defer(() => redis.stop());
  const environment = { DATABASE_URL: await postgres.createDatabase(), REDIS_URL: redis.url };
  return startUp('Redis and PostgreSQL', { folder, config, environment }, stack);
}

async function startUp(
  store: string,
  { folder, config, environment }: { folder: string; config: string; environment: NodeJS.ProcessEnv },
  stack: AsyncDisposableStack,
): Promise<Variant> {
  const data = join(folder, store.replaceAll(' ', '-'));
  mkdirSync(data);
  const child = spawn(process.execPath, [cli, 'up', '--json'], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      WAYBILL_DATA_DIR: data,
      WAYBILL_CONFIG: config,
      WAYBILL_PORT: '0',
      WAYBILL_MASTER_KEY: masterKey.toString('base64'),
      WAYBILL_ADMIN_KEY: adminKey,
      LOG_LEVEL: 'fatal',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  stack.defer(() => ended(child));
  const [ready] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const { url } = JSON.parse(ready.toString('utf8')) as { url: string };
  return { store, client: createClient({ url, apiKey: adminKey }) };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

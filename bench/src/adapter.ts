/**
 * What a call costs in our adapter: CPU of this process per call, against a bare undici request and the `openai` SDK,
 * which take turns in one run. The provider is a process of its own, so that its CPU is not counted.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { type ChatRequest, chatRequestSchema } from '@waybill/shared/chat/request.ts';
import type { Answer } from '@waybill/shared/chat/response.ts';
import type { CallInput } from '@waybill/shared/providers/dialect.ts';
import { dialectOf } from '@waybill/shared/providers/dialects.ts';
import { presetOf } from '@waybill/shared/providers/presets.ts';
import { createTransport, type Transport } from '@waybill/shared/providers/transport.ts';
import { Secret } from '@waybill/shared/security/secret.ts';
import OpenAI from 'openai';
import { Agent, request } from 'undici';
import { figuresOf } from './statistics.ts';

const warmUp = 200;
const timeouts = { connectMs: 2_000, firstByteMs: 60_000, idleMs: 60_000, totalMs: 600_000 };

/** A short conversation with instructions and a tool, as a labelling job sends it. */
const body: ChatRequest = chatRequestSchema.parse({
  model: 'gpt-4.1-mini',
  messages: [
    { role: 'system', content: 'You label support tickets. Answer with one word.' },
    {
      role: 'user',
      content: 'My parcel has not arrived, and the tracking page shows nothing since Tuesday. '.repeat(8),
    },
  ],
  tools: [
    {
      type: 'function',
      function: { name: 'label', parameters: { type: 'object', properties: { label: { type: 'string' } } } },
    },
  ],
  temperature: 0.2,
  max_tokens: 200,
});

type Call = () => Promise<string>;

export async function benchAdapter(rounds: number, calls: number): Promise<string[]> {
  await using stack = new AsyncDisposableStack();
  const endpoint = `http://127.0.0.1:${await startProvider(stack)}/v1`;
  const agent = new Agent({ connections: 4, pipelining: 1 });
  stack.defer(() => agent.close());
  const transport = createTransport({ connections: 4, connectMs: 2_000 });
  stack.defer(() => transport.close());
  const client = new OpenAI({ apiKey: 'sk-bench', baseURL: endpoint, maxRetries: 0 });
  const variants: Readonly<Record<string, Call>> = {
    'bare undici': () => bare(endpoint, agent),
    'our adapter': () => ours(endpoint, transport),
    'openai SDK': async () => textOf(await client.chat.completions.create(body as never)),
  };
  for (const call of Object.values(variants)) await cpuPerCall(call, warmUp);
  const measured = new Map<string, number[]>(Object.keys(variants).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const [name, call] of Object.entries(variants)) measured.get(name)?.push(await cpuPerCall(call, calls));
  const medians = new Map([...measured].map(([name, list]) => [name, figuresOf(list).median]));
  const base = medians.get('bare undici') ?? Number.NaN;
  const own = medians.get('our adapter') ?? Number.NaN;
  const sdk = medians.get('openai SDK') ?? Number.NaN;
  return [
    ...[...medians].map(([name, ms]) => `${name.padEnd(12)} ${(ms * 1_000).toFixed(0)} us of CPU per call`),
    `our adapter is ${(own / base).toFixed(2)} x a bare request and ${(own / sdk).toFixed(2)} x the SDK (medians of ${rounds} rounds of ${calls} calls)`,
  ];
}

async function startProvider(stack: AsyncDisposableStack): Promise<number> {
  const child = fork(new URL('./local-provider.ts', import.meta.url), ['{}'], { stdio: 'inherit' });
  stack.defer(() => void child.kill());
  const [port] = (await once(child, 'message')) as [number];
  return port;
}

async function cpuPerCall(call: Call, times: number): Promise<number> {
  const before = process.cpuUsage();
  for (let n = 0; n < times; n++)
    if ((await call()) !== 'ok') throw new Error('Cannot measure: the provider did not answer "ok"');
  const used = process.cpuUsage(before);
  return (used.user + used.system) / 1_000 / times;
}

async function bare(endpoint: string, agent: Agent): Promise<string> {
  const response = await request(`${endpoint}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-bench' },
    body: JSON.stringify(body),
    dispatcher: agent,
  });
  return textOf(JSON.parse(await response.body.text()));
}

const textOf = (answer: unknown): string =>
  (answer as { choices: { message: { content: string } }[] }).choices[0]?.message.content ?? '';

async function ours(endpoint: string, transport: Transport): Promise<string> {
  const preset = presetOf('openai');
  if (!preset) throw new Error('Cannot measure: there is no preset "openai"');
  const input: CallInput = {
    request: body,
    model: body.model,
    endpoint,
    credential: new Secret('sk-bench'),
    apiVersion: null,
    quirks: preset.quirks,
    stream: false,
    target: 'openai/gpt-4.1-mini',
    contextWindow: null,
    continuation: null,
    nowMs: Date.now(),
  };
  const dialect = dialectOf('openai');
  const written = dialect.writeChat(input);
  if (written.kind === 'unsupported') throw new Error(`Cannot measure: ${written.feature} is refused`);
  const result = await transport.call<Answer>(
    written.http,
    { reader: written.reader, readError: dialect.readError },
    { stream: false, timeouts, signal: new AbortController().signal },
  );
  return result.kind === 'answer' ? result.answer.text : result.kind;
}

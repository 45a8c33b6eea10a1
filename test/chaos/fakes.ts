/** The fake provider and the fake receiver, started and steered from the harness. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bareEnvironment } from '../support/bare-environment.ts';
import type { ServerFolder } from '../support/server-folder.ts';
import type { CallEvent, DeliveryEvent, ProviderBehaviour, ProviderName, ReceiverMode } from './behaviour.ts';
import { type Member, startMember } from './processes.ts';

export interface FakeProvider {
  readonly member: Member;
  urlOf(name: ProviderName): string;
  behave(name: ProviderName, behaviour: ProviderBehaviour): Promise<void>;
  events(): CallEvent[];
}

export interface FakeReceiver {
  readonly member: Member;
  readonly url: string;
  become(mode: ReceiverMode): Promise<void>;
  trust(secret: string): Promise<void>;
  events(): DeliveryEvent[];
}

const fileOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export async function startFakeProvider(folder: ServerFolder, seed: number): Promise<FakeProvider> {
  const events = join(folder.path, 'provider-events.jsonl');
  const member = await startMember(folder, {
    name: 'provider',
    command: [process.execPath, fileOf('provider.ts'), events, String(seed)],
    environment: bareEnvironment(),
  });
  const { control, ports } = member.ready as { control: number; ports: Record<ProviderName, number> };
  return {
    member,
    urlOf: (name) => `http://127.0.0.1:${ports[name]}/v1`,
    behave: (provider, behaviour) => put(control, { provider, behaviour }),
    events: () => readLines<CallEvent>(events),
  };
}

export async function startFakeReceiver(folder: ServerFolder): Promise<FakeReceiver> {
  const events = join(folder.path, 'receiver-events.jsonl');
  const member = await startMember(folder, {
    name: 'receiver',
    command: [process.execPath, fileOf('receiver.ts'), events],
    environment: bareEnvironment(),
  });
  const { control, port } = member.ready as { control: number; port: number };
  return {
    member,
    url: `http://127.0.0.1:${port}/hooks`,
    become: (mode) => put(control, { mode }),
    trust: (secret) => put(control, { secret }),
    events: () => readLines<DeliveryEvent>(events),
  };
}

async function put(port: number, body: unknown): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/control`, { method: 'PUT', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`a fake refused ${JSON.stringify(body)}: ${await answer.text()}`);
  await answer.text();
}

/** Only whole lines: the last may be half written. */
export function readLines<Line>(file: string): Line[] {
  const text = readFileSync(file, 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

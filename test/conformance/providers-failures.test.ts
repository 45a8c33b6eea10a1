/** Every refusal a provider documents, over the real path: its kind, its wait, one request, and nothing of its text. */
import { createTransport, type Transport } from '@waybill/shared/providers/transport.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { callChat } from '../support/fake-providers/call-provider.ts';
import { makerFailures } from '../support/fake-providers/failure-cases.ts';
import { type FakeProviders, startFakeProviders } from '../support/fake-providers/server.ts';
import { serverFailures } from '../support/fake-providers/server-failure-cases.ts';

let fakes: FakeProviders;
let transport: Transport;
beforeAll(async () => {
  fakes = await startFakeProviders();
  transport = createTransport({ connections: 8, connectMs: 2_000 });
});
afterAll(() => Promise.all([fakes.stop(), transport.close()]));

const canary = 'CANARY-prompt-sk-1';
/** As an echo of the prompt and the key would be: in every text that comes back. */
const withCanary = (body: unknown): unknown =>
  typeof body === 'string'
    ? body
    : JSON.parse(JSON.stringify(body).replaceAll(/"(message|msg)":"/g, `"$1":"${canary} `));

test.for(
  [...makerFailures, ...serverFailures].flatMap((each) =>
    each.providers.map((id) => [`${id} refuses: ${each.title} (${each.status})`, id, each] as const),
  ),
)('%s', async ([, id, { status, body, headers, kind, more }]) => {
  const line = fakes.open(id, {
    kind: 'refuses',
    status,
    body: withCanary(body),
    ...(headers === undefined ? {} : { headers }),
  });
  const outcome = await callChat(transport, id, line.endpoint, { messages: [{ role: 'user', content: 'Hi' }] });
  expect(line.seen.map(({ refused }) => refused)).toEqual([null]);
  expect(outcome).toMatchObject({
    kind: 'called',
    result: {
      kind: 'failure',
      failure: { kind, httpStatus: status, ...more },
      meta: { httpStatus: status, isSent: true },
    },
  });
  expect(JSON.stringify(outcome.kind === 'called' && outcome.result)).not.toContain(canary);
});

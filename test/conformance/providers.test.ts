/**
 * Every provider, every kind of request, over the real path: dialect, transport, one HTTP request to a server that is as
 * strict as the provider itself.
 *
 * A row says what differs between providers; what it does not name holds for all of them. `cannot` are those that have
 * no way to do it, known before a byte is sent.
 */
import type { Answer } from '@waybill/shared/chat/response.ts';
import { presetIds } from '@waybill/shared/providers/presets.ts';
import { createTransport, type Transport } from '@waybill/shared/providers/transport.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CallChange, callChat } from '../support/fake-providers/call-provider.ts';
import type { Case } from '../support/fake-providers/case.ts';
import { answerCases, askCases } from '../support/fake-providers/chat-cases.ts';
import { meaningOf } from '../support/fake-providers/conversation.ts';
import { hardCases } from '../support/fake-providers/hard-cases.ts';
import { type FakeProviders, startFakeProviders } from '../support/fake-providers/server.ts';
import { modelCases, toolCases } from '../support/fake-providers/tool-cases.ts';

let fakes: FakeProviders;
let transport: Transport;
beforeAll(async () => {
  fakes = await startFakeProviders();
  transport = createTransport({ connections: 8, connectMs: 2_000 });
});
afterAll(() => Promise.all([fakes.stop(), transport.close()]));

const modes: readonly [string, CallChange & { pieceBytes?: number }][] = [
  ['whole', {}],
  ['streamed', { stream: true, pieceBytes: 401 }],
];

/** How a request is asked for is one thing, streamed or not, except where an answer comes back in pieces. */
const rows = [
  ...[...answerCases, ...toolCases, ...modelCases].flatMap((row) => modes.map((mode) => ({ row, mode }))),
  ...[...askCases, ...hardCases].map((row) => ({ row, mode: row.title.includes('choices') ? modes[1] : modes[0] })),
].flatMap(({ row, mode }) => (mode === undefined ? [] : [[`${row.title}, ${mode[0]}`, row, mode[1]] as const]));

describe.for(presetIds)('%s', (id) => {
  test.for(rows.filter(([, { only }]) => only?.includes(id) ?? true))(
    '%s',
    async ([, row, { pieceBytes, ...change }]) => {
      const said = row.said(id);
      const line = fakes.open(id, {
        kind: 'says',
        said,
        ...(pieceBytes === undefined ? {} : { pieceBytes: row.pieceBytes ?? pieceBytes }),
      });
      const target = row.model?.(id);
      const outcome = await callChat(transport, id, line.endpoint, row.request(id), {
        ...change,
        ...(target === undefined ? {} : { model: target }),
      });
      if (row.cannot.includes(id)) {
        expect(outcome.kind).toBe('cannot');
        expect(line.seen).toEqual([]);
        return;
      }
      if (outcome.kind === 'cannot') throw new Error(`${id} cannot: ${outcome.why}`);
      expect(line.seen.map(({ refused }) => refused)).toEqual([null]);
      expect(line.seen[0]?.asked.ignored).toEqual([]);
      checkHeard(row, id, line.seen[0]?.heard);
      if (row.failure !== undefined) {
        expect(outcome.result).toMatchObject({ kind: 'failure', failure: row.failure });
      } else {
        if (outcome.result.kind !== 'answer') throw new Error(JSON.stringify(outcome.result));
        expect(outcome.result.answer).toMatchObject(row.answer(id));
        if (change.stream) checkPieces(outcome.pieces, outcome.result.answer);
      }
      if (row.anyWarning) return;
      const expected = row.warns(id);
      expect(outcome.warnings.filter((each) => !expected.some((pattern) => pattern.test(each)))).toEqual([]);
      expect(expected.filter((pattern) => !outcome.warnings.some((each) => pattern.test(each)))).toEqual([]);
    },
  );
});

function checkHeard(row: Case, id: string, heard: { parts: readonly never[] } | object | null | undefined): void {
  const { parts, ...settings } = (heard ?? { parts: [] }) as { parts: Parameters<typeof meaningOf>[0] };
  const expected = row.heard(id);
  if (expected.meaning !== undefined) expect(meaningOf(parts)).toEqual(expected.meaning);
  expect(settings).toMatchObject(expected.settings ?? {});
}

/** What was told while it came adds up to the answer. */
function checkPieces(pieces: readonly { kind: string }[], answer: Answer): void {
  const joined = (kind: string) =>
    pieces.flatMap((each) => (each.kind === kind && 'text' in each ? [String(each.text)] : [])).join('');
  expect(joined('text')).toBe(answer.text);
  expect(joined('reasoning')).toBe(answer.reasoning);
  expect(joined('refusal')).toBe(answer.refusal ?? '');
  const calls: { id: string | null; name: string | null; arguments: string }[] = [];
  for (const each of pieces as readonly {
    kind: string;
    index: number;
    id: string | null;
    name: string | null;
    arguments: string;
  }[]) {
    if (each.kind !== 'tool_call') continue;
    const made = calls[each.index] ?? { id: each.id, name: each.name, arguments: '' };
    calls[each.index] = { ...made, arguments: made.arguments + each.arguments };
  }
  const normal = (text: string): unknown => JSON.parse(text === '' ? '{}' : text);
  expect(calls.map((each) => ({ ...each, arguments: normal(each.arguments) }))).toEqual(
    answer.toolCalls.map((each) => ({
      id: each.id,
      name: each.function.name,
      arguments: normal(each.function.arguments),
    })),
  );
}

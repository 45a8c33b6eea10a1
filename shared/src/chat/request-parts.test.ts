/** Parts of requests that are not text, and what may be marked on them. */
import { expect, test } from 'vitest';
import { faultsOf } from '../domain/strict-object.ts';
import { chatRequestSchema } from './request.ts';

function faultsIn(body: unknown) {
  const parsed = chatRequestSchema.safeParse(body);
  return parsed.success ? [] : faultsOf(parsed.error).map(({ path, code, message }) => ({ path, code, message }));
}
const base = { model: 'default', messages: [{ role: 'user', content: 'Say hello.' }] };
const withParts = (...content: object[]) => ({ ...base, messages: [{ role: 'user', content }] });
const pdf = { file_data: 'data:application/pdf;base64,JVBERi0=' };
const wav = { data: 'UklGRg==', format: 'wav' };
const mark = (change: object = {}) => ({ prompt_cache_breakpoint: { mode: 'explicit', ...change } });
const assistant = (change: object) => ({
  ...base,
  messages: [...base.messages, { role: 'assistant', content: 'Hi.', ...change }],
});

test.for<[string, object]>([
  ['a file alone', withParts({ type: 'file', file: pdf })],
  [
    'a file of many words in its type',
    withParts({ type: 'file', file: { file_data: 'data:application/vnd.oasis.opendocument.text;base64,AA==' } }),
  ],
  ['sound alone', withParts({ type: 'input_audio', input_audio: { ...wav, format: 'mp3' } })],
  ['a neutral file_id', withParts({ type: 'file', file: { ...pdf, file_id: null } })],
  ...['5m', '30m', '1h', '12h'].map((ttl): [string, object] => [
    `a breakpoint of ${ttl}`,
    withParts({ type: 'text', text: 'a', ...mark({ ttl }) }),
  ]),
])('%s is accepted', ([, request]) => {
  expect(faultsIn(request)).toEqual([]);
});

test.for<[string, object, string, RegExp]>([
  [
    'a part of another type',
    withParts({ type: 'video', video: {} }),
    'messages[0].content[0]',
    /"video" is not supported yet; use "text", "image_url", "input_audio" or "file"/,
  ],
  [
    'a file by its id',
    withParts({ type: 'file', file: { ...pdf, file_id: 'file-1' } }),
    'messages[0].content[0].file.file_id',
    /not supported yet/,
  ],
  [
    'a file by its address',
    withParts({ type: 'file', file: { file_data: 'https://example.com/a.pdf' } }),
    'messages[0].content[0].file.file_data',
    /data URI/,
  ],
  [
    'a file without its type',
    withParts({ type: 'file', file: { file_data: 'data:;base64,AA==' } }),
    'messages[0].content[0].file.file_data',
    /data URI/,
  ],
  [
    'a file that is no base64',
    withParts({ type: 'file', file: { file_data: 'data:a/b;base64,ä' } }),
    'messages[0].content[0].file.file_data',
    /data URI/,
  ],
  [
    'an empty file',
    withParts({ type: 'file', file: { file_data: 'data:a/b;base64,' } }),
    'messages[0].content[0].file.file_data',
    /data URI/,
  ],
  [
    'a name of a file beyond reason',
    withParts({ type: 'file', file: { ...pdf, filename: 'x'.repeat(256) } }),
    'messages[0].content[0].file.filename',
    /<=255/,
  ],
  [
    'sound that is no base64',
    withParts({ type: 'input_audio', input_audio: { ...wav, data: 'data:audio/wav;base64,AA==' } }),
    'messages[0].content[0].input_audio.data',
    /expected base64/,
  ],
  [
    'sound of another format',
    withParts({ type: 'input_audio', input_audio: { ...wav, format: 'flac' } }),
    'messages[0].content[0].input_audio.format',
    /wav/,
  ],
  [
    'a breakpoint without its mode',
    withParts({ type: 'text', text: 'a', prompt_cache_breakpoint: {} }),
    'messages[0].content[0].prompt_cache_breakpoint.mode',
    /explicit/,
  ],
  [
    'a breakpoint of another time',
    withParts({ type: 'text', text: 'a', ...mark({ ttl: '1d' }) }),
    'messages[0].content[0].prompt_cache_breakpoint.ttl',
    /5m/,
  ],
  [
    'reasoning without its origin',
    assistant({ reasoning_details: [{ part: {} }] }),
    'messages[1].reasoning_details[0].origin',
    /string/,
  ],
  [
    'reasoning as a provider wrote it',
    assistant({ reasoning_details: [{ origin: 'a/b', part: 1, type: 'thinking' }] }),
    'messages[1].reasoning_details[0]',
    /unknown field "type"/,
  ],
  [
    'allowed tools that are none',
    { ...base, tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } } },
    'tool_choice',
    /./,
  ],
])('%s is a fault', ([, request, path, message]) => {
  const faults = faultsIn(request);
  expect(faults).not.toEqual([]);
  for (const fault of faults) {
    expect(fault.path.startsWith(path)).toBe(true);
    expect(fault.message).toMatch(message);
  }
});

test('sound and files of many megabytes are checked in a moment', () => {
  const data = 'A'.repeat(8 * 1_024 * 1_024);
  const startedAt = performance.now();
  expect(faultsIn(withParts({ type: 'input_audio', input_audio: { ...wav, data } }))).toEqual([]);
  expect(faultsIn(withParts({ type: 'file', file: { file_data: `data:a/b;base64,${data}!` } }))).toHaveLength(1);
  expect(performance.now() - startedAt).toBeLessThan(3_000);
});

test('a choice among allowed tools comes out as it went in', () => {
  const choice = {
    type: 'allowed_tools',
    allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'weather' } }] },
  };
  const tools = [{ type: 'function', function: { name: 'weather' } }];
  expect(chatRequestSchema.parse({ ...base, tools, tool_choice: choice }).tool_choice).toEqual(choice);
});

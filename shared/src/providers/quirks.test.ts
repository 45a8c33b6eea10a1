import { expect, test } from 'vitest';
import type { Capability } from '../chat/capabilities.ts';
import { presetOf } from './presets.ts';
import { lackedBy, plainQuirks, type Quirks, quirksFileSchema } from './quirks.ts';

test('a server that does all that OpenAI describes lacks nothing', () => {
  expect(lackedBy(plainQuirks)).toEqual([]);
});

test.for<[Partial<Quirks>, Capability[]]>([
  [{ jsonMode: 'json_object' }, ['json_schema']],
  [{ jsonMode: 'none' }, ['json_object', 'json_schema']],
  [{ drop: ['logprobs', 'n', 'tools', 'user'] }, ['logprobs', 'multiple_choices', 'tools']],
  [{ forcedTools: false }, ['forced_tool']],
  [{ imageInput: 'none' }, ['vision']],
  [{ imageInput: 'data' }, []],
  [{ fileInput: 'none' }, ['file_input']],
  [{ fileInput: 'document_url' }, []],
  [{ audioInput: 'none' }, ['audio_input']],
])('a server with %j lacks %j', ([quirks, expected]) => {
  expect(lackedBy({ ...plainQuirks, ...quirks })).toEqual(expected);
});

test('the configuration names only what differs, in the words of files', () => {
  expect(
    quirksFileSchema.parse({ max_tokens_field: 'max_tokens', vendor_rules: 'openai', reasoning_replay: 'none' }),
  ).toEqual({ maxTokensField: 'max_tokens', vendorRules: 'openai', reasoningReplay: 'none' });
});

test.for([{ image_input: 'all' }, { efforts: [] }, { unknown: true }])('%j is refused', (quirks) => {
  expect(quirksFileSchema.safeParse(quirks).success).toBe(false);
});

test.for<[string, Partial<Quirks>]>([
  ['openai', { vendorRules: 'openai', maxTokensField: 'max_completion_tokens', fileInput: 'file', drop: [] }],
  ['azure-openai', { vendorRules: 'openai', maxTokensField: 'max_completion_tokens' }],
  ['groq', { vendorRules: 'none', messageNames: false, fileInput: 'none', audioInput: 'none' }],
  ['openrouter', { reasoningReplay: 'reasoning_details', requireParameters: true, vendorRules: 'none' }],
  ['mistral', { toolCallIds: 'nine_alphanumeric', dimensionsField: 'output_dimension', messageNames: false }],
  ['lightllm', { efforts: ['low', 'medium', 'high'], audioInput: 'none', systemRole: 'system' }],
  ['vllm', { systemRole: 'system', fileInput: 'none', audioInput: 'object' }],
  ['llama-cpp', { systemRole: 'system', fileInput: 'none' }],
  ['localai', { systemRole: 'system', fileInput: 'none' }],
  ['lm-studio', { imageInput: 'data', audioInput: 'none' }],
  ['openai-compatible', { systemRole: 'system', vendorRules: 'none', drop: [] }],
])('%s has the quirks of its reference: %j', ([id, expected]) => {
  expect(presetOf(id)?.quirks).toMatchObject(expected);
});

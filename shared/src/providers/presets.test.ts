import { expect, test } from 'vitest';
import { dialectOf } from './dialects.ts';
import { presetIds, presetOf, presets } from './presets.ts';

test('the presets are those of the design, each once, local servers first', () => {
  const design =
    'openai anthropic gemini azure-openai cohere groq openrouter mistral ollama localai llama-cpp lightllm vllm lm-studio openai-compatible';
  expect(presetIds.toSorted()).toEqual(design.split(' ').toSorted());
  const locals = presets.map((preset) => preset.isLocal);
  expect(locals).toEqual(locals.toSorted((a, b) => Number(b) - Number(a)));
});

test.for([
  ['openai', 'openai', 'https://api.openai.com/v1', 'OPENAI_API_KEY'],
  ['anthropic', 'anthropic', 'https://api.anthropic.com/v1', 'ANTHROPIC_API_KEY'],
  ['gemini', 'gemini', 'https://generativelanguage.googleapis.com/v1beta', 'GEMINI_API_KEY'],
  ['azure-openai', 'azure-openai', null, 'AZURE_OPENAI_API_KEY'],
  ['cohere', 'cohere', 'https://api.cohere.com', 'COHERE_API_KEY'],
  ['groq', 'openai', 'https://api.groq.com/openai/v1', 'GROQ_API_KEY'],
  ['mistral', 'openai', 'https://api.mistral.ai/v1', 'MISTRAL_API_KEY'],
  ['openrouter', 'openai', 'https://openrouter.ai/api/v1', 'OPENROUTER_API_KEY'],
  ['ollama', 'ollama', 'http://127.0.0.1:11434', 'OLLAMA_API_KEY'],
  ['localai', 'openai', 'http://127.0.0.1:8080/v1', 'LOCALAI_API_KEY'],
  ['vllm', 'openai', 'http://127.0.0.1:8000/v1', 'VLLM_API_KEY'],
] as const)('%s speaks %s at %s with %s', ([id, dialect, endpoint, variable]) => {
  expect(presetOf(id)).toMatchObject({ dialect, endpoint });
  expect(presetOf(id)?.credentialVariables[0]).toBe(variable);
});

test('a preset that nobody knows is undefined', () => {
  expect(presetOf('toString')).toBeUndefined();
});

test.for(presets.filter((preset) => preset.isLocal))(
  'local $id needs no credential, costs nothing and can be found',
  (preset) => {
    expect(preset).toMatchObject({ needsCredential: false, pricesAs: null });
    expect(preset.probes.map((probe) => probe.endpoint)).toContain(preset.endpoint);
  },
);

test.for(presets.filter((preset) => !preset.isLocal))('cloud $id is never probed', (preset) => {
  expect(preset.probes).toEqual([]);
});

test('servers that share a port are told apart by their paths', () => {
  const seen = presets.flatMap((preset) => preset.probes.map(({ endpoint, path }) => new URL(path, endpoint).href));
  expect(new Set(seen).size).toBe(seen.length);
});

test('every dialect a preset names exists', () => {
  for (const { dialect } of presets) expect(dialectOf(dialect).name).toBe(dialect);
});

test('Mistral refuses unknown fields: its preset drops those it has no name for', () => {
  const drop = presetOf('mistral')?.quirks.drop ?? [];
  for (const field of ['user', 'store', 'logit_bias', 'safety_identifier']) expect(drop).toContain(field);
  expect(presetOf('mistral')?.quirks).toMatchObject({
    maxTokensField: 'max_tokens',
    streamUsage: false,
    seedField: 'random_seed',
  });
});

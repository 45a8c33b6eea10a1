import { expect, test } from 'vitest';
import { capabilities } from '../chat/capabilities.ts';
import { catalogueDate, defaultModels, knownModels } from './catalogue.ts';
import { presets } from './presets.ts';

test('the catalogue says how old it is', () => {
  expect(catalogueDate).toMatch(/^\d{4}-\d{2}-\d{2}$/);
  expect(new Date(catalogueDate).getTime()).not.toBeNaN();
});

test('every preset that can be found without configuration has an entry for its model', () => {
  const discovered = presets.filter((preset) => preset.dialect !== null && (preset.isLocal || preset.needsCredential));
  expect(Object.keys(defaultModels).toSorted()).toEqual(discovered.map((preset) => preset.id).toSorted());
});

test('a provider in the cloud has a default model; a local server that serves one model is asked', () => {
  for (const preset of presets.filter((each) => each.needsCredential && each.dialect !== null))
    expect(defaultModels[preset.id], preset.id).toEqual(expect.any(String));
  expect(defaultModels.vllm).toBeNull();
});

test.for(Object.entries(knownModels))('%s has a window and lacks only capabilities that exist', ([, model]) => {
  expect(model.contextWindow).toBeGreaterThan(1_000);
  for (const lacked of model.lacks) expect(capabilities).toContain(lacked);
});

test.for(['claude-sonnet-5-5', 'claude-opus-5-5'])('%s refuses a forced tool', (model) => {
  expect(knownModels[model]?.lacks).toContain('forced_tool');
});

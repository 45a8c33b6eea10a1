import { expect, test } from 'vitest';
import { plainQuirks, type Quirks } from '../quirks.ts';
import { toThinking } from './thinking.ts';

type Asked = Parameters<typeof toThinking>[0];
const level = (thinkingLevel: string) => ({ thinkingLevel, includeThoughts: true });
const budget = (thinkingBudget: number) => ({ thinkingBudget, includeThoughts: true });

test.for<[model: string, asked: Asked, config: object | null, warnings: number]>([
  ['gemini-3.8-flash', undefined, null, 0],
  ['gemini-3.8-flash', null, null, 0],
  ['gemini-3.8-flash', 'none', level('MINIMAL'), 1],
  ['gemini-3.8-flash', 'minimal', level('MINIMAL'), 0],
  ['gemini-3.8-flash', 'low', level('LOW'), 0],
  ['gemini-3.1-pro-preview', 'none', level('LOW'), 1],
  ['gemini-pro-latest', 'minimal', level('LOW'), 1],
  ['gemini-3.1-pro-preview', 'low', level('LOW'), 0],
  ['gemini-4-argon', 'medium', level('MEDIUM'), 0],
  ['models/gemini-4-argon', 'high', level('HIGH'), 0],
  ['gemini-3.8-flash', 'xhigh', level('HIGH'), 1],
  ['gemini-flash-latest', 'max', level('HIGH'), 1],
  ['gemini-2.5-flash', 'none', { thinkingBudget: 0 }, 0],
  ['gemini-2.5-pro', 'none', { thinkingBudget: 128 }, 1],
  ['gemini-2.5-pro', 'minimal', budget(512), 0],
  ['gemini-2.5-flash-lite', 'low', budget(1_024), 0],
  ['gemini-2.5-flash', 'medium', budget(8_192), 0],
  ['gemini-2.5-flash', 'high', budget(24_576), 0],
  ['gemini-2.5-flash', 'max', budget(24_576), 1],
  ['gemini-2.0-flash', 'low', null, 1],
  ['gemma-3-27b-it', 'low', null, 1],
])('%s asked for an effort of %s', ([model, asked, config, warnings]) => {
  const thinking = toThinking(asked, model, plainQuirks);
  expect(thinking.config).toEqual(config);
  expect(thinking.warnings).toHaveLength(warnings);
});

test.for<[string, Partial<Quirks>, Asked, object | null]>([
  ['the nearest it knows', { efforts: ['low', 'high'] }, 'minimal', level('LOW')],
  ['of two as near, the higher', { efforts: ['low', 'high'] }, 'medium', level('HIGH')],
  ['nothing where it takes none', { reasoningRequest: 'none' }, 'low', null],
])('a server is asked for what its configuration says: %s', ([, quirks, asked, config]) => {
  const thinking = toThinking(asked, 'gemini-3.8-flash', { ...plainQuirks, ...quirks });
  expect(thinking.config).toEqual(config);
  expect(thinking.warnings).toHaveLength(1);
});

test('an effort the server is configured to know is asked for as it is', () => {
  expect(toThinking('low', 'gemini-3.8-flash', { ...plainQuirks, efforts: ['low'] }).warnings).toEqual([]);
});

import { expect, test } from 'vitest';
import { chatRequest } from '../fixture-call.ts';
import { needsResponses, refusedFields, rulesOf } from './model-rules.ts';

test.for<[string, boolean | null]>([
  ['o1', true],
  ['o3-mini', true],
  ['o4-mini-2025-04-16', true],
  ['gpt-5', true],
  ['gpt-5-mini-2025-08-07', true],
  ['gpt-5.4-nano', true],
  ['gpt-6.1-terra', true],
  ['codex-mini-latest', true],
  ['ft:gpt-5.4-mini:acme::1', true],
  ['gpt-5-chat-latest', false],
  ['gpt-5.1-chat', false],
  ['gpt-4.1-mini', false],
  ['gpt-4o', false],
  ['gpt-3.5-turbo', false],
  ['gpt-35-turbo', false],
  ['chatgpt-4o-latest', false],
  ['ft:gpt-4.1-mini', false],
  ['llama-3.3', null],
  ['our-own-name', null],
])('%s reasons: %s', ([model, expected]) => {
  expect(rulesOf(model).isReasoning).toBe(expected);
});

test.for<[string, boolean]>([
  ['o1-pro', true],
  ['o3-deep-research', true],
  ['gpt-5-pro', true],
  ['gpt-5.4-pro-2026-03-05', true],
  ['gpt-5.1-codex-mini', true],
  ['codex-mini-latest', true],
  ['gpt-5', false],
  ['my-pro-model', false],
])('%s answers on Responses alone: %s', ([model, expected]) => {
  expect(rulesOf(model).isResponsesOnly).toBe(expected);
  expect(needsResponses(model, chatRequest())).toBe(expected);
});

const tools = [{ type: 'function', function: { name: 'f' } }];
test.for<[string, object, boolean]>([
  ['gpt-5.4', { tools }, true],
  ['gpt-5.10', { tools }, true],
  ['gpt-6-sol', { tools, reasoning_effort: 'high' }, true],
  ['gpt-5.4', { tools, reasoning_effort: 'none' }, false],
  ['gpt-6-astra', { tools, reasoning_effort: 'none' }, true],
  ['gpt-6.1-sol', { tools, reasoning_effort: 'none' }, true],
  ['gpt-5.4', { reasoning_effort: 'high' }, false],
  ['gpt-5.4', { tools: [] }, false],
  ['gpt-5.2', { tools }, false],
  ['gpt-5', { tools }, false],
  ['o3', { tools }, false],
  ['gpt-5.4-chat-latest', { tools }, false],
  ['gpt-4.1', { tools }, false],
])('%s with %j goes to Responses: %s', ([model, request, expected]) => {
  expect(needsResponses(model, chatRequest(request))).toBe(expected);
});

const penalties = ['frequency_penalty', 'presence_penalty', 'logit_bias', 'top_logprobs'];
const sampling = ['temperature', 'top_p', 'logprobs'];
test.for<[string, 'none' | 'high' | null, string[]]>([
  ['gpt-5.4', null, [...penalties, ...sampling]],
  ['gpt-5.4', 'high', [...penalties, ...sampling]],
  ['gpt-5.4', 'none', penalties],
  ['gpt-5', 'none', [...penalties, ...sampling]],
  ['o3', null, [...penalties, ...sampling]],
  ['gpt-4.1', null, ['reasoning_effort', 'verbosity']],
  ['our-own-name', 'high', []],
])('%s with effort %s refuses %j', ([model, effort, expected]) => {
  expect(refusedFields(model, effort)).toEqual(expected);
});

test.for<[string, boolean]>([
  ['gpt-5.6-sol', true],
  ['gpt-6-luna', true],
  ['gpt-5.5', false],
  ['gpt-4.1', false],
  ['o3', false],
])('%s takes marks of the prompt cache: %s', ([model, expected]) => {
  expect(rulesOf(model).takesBreakpoints).toBe(expected);
});

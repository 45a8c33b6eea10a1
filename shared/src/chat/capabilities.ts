/** What a request needs from a model. An unknown capability passes: the provider's own refusal routes it on. */
import type { ChatRequest } from './request.ts';

export const capabilities = [
  'tools',
  'json_schema',
  'json_object',
  'vision',
  'logprobs',
  'multiple_choices',
  'forced_tool',
] as const;
export type Capability = (typeof capabilities)[number];

export function requiredCapabilities(request: ChatRequest): Capability[] {
  const needed: Capability[] = [];
  if (request.tools && request.tools.length > 0 && request.tool_choice !== 'none') needed.push('tools');
  if (request.tool_choice !== undefined && typeof request.tool_choice === 'object') needed.push('forced_tool');
  if (request.tool_choice === 'required') needed.push('forced_tool');
  if (request.response_format?.type === 'json_schema') needed.push('json_schema');
  if (request.response_format?.type === 'json_object') needed.push('json_object');
  if (
    request.messages.some(
      (message) => Array.isArray(message.content) && message.content.some((part) => part.type === 'image_url'),
    )
  )
    needed.push('vision');
  if (request.logprobs) needed.push('logprobs');
  if ((request.n ?? 1) > 1) needed.push('multiple_choices');
  return needed;
}

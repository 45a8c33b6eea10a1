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
  'audio_input',
  'file_input',
  'embeddings',
] as const;
export type Capability = (typeof capabilities)[number];

export function requiredCapabilities(request: ChatRequest): Capability[] {
  const needed: Capability[] = [];
  if (request.tools && request.tools.length > 0 && request.tool_choice !== 'none') needed.push('tools');
  if (forcesTool(request.tool_choice)) needed.push('forced_tool');
  if (request.response_format?.type === 'json_schema') needed.push('json_schema');
  if (request.response_format?.type === 'json_object') needed.push('json_object');
  const parts = new Set(
    request.messages.flatMap(({ content }) => (Array.isArray(content) ? content.map((part) => part.type) : [])),
  );
  if (parts.has('image_url')) needed.push('vision');
  if (parts.has('input_audio')) needed.push('audio_input');
  if (parts.has('file')) needed.push('file_input');
  if (request.logprobs) needed.push('logprobs');
  if ((request.n ?? 1) > 1) needed.push('multiple_choices');
  return needed;
}

function forcesTool(choice: ChatRequest['tool_choice']): boolean {
  if (choice === undefined || typeof choice === 'string') return choice === 'required';
  return choice.type === 'function' || choice.allowed_tools.mode === 'required';
}

/**
 * Canonical messages -> Anthropic's turns.
 *
 * Neighbours of one role are one turn, results of tools come first in theirs, thinking comes first in its own and goes
 * back unchanged. Texts of white space are left out: the vendor refuses them.
 */
import type { ChatMessage, ChatRequest } from '../../chat/request.ts';
import { asRecord } from '../provider-json.ts';
import type { Quirks } from '../quirks.ts';
import { type ToolCallIds, toolCallIds } from '../tool-call-ids.ts';
import { parseArguments } from '../tool-calls.ts';
import { ownReasoning, parseDataUri } from '../written-request.ts';
import { takesLaterSystem } from './model-rules.ts';

export type Block = Record<string, unknown>;
export interface Turn {
  readonly role: 'user' | 'assistant' | 'system';
  readonly content: Block[];
}
export interface Conversation {
  readonly system: readonly Block[];
  readonly turns: readonly Turn[];
  readonly warnings: readonly string[];
}

/** Stands for the user where an assistant spoke first: the vendor refuses that, and text without a sign in it. */
const silentUser: Turn = { role: 'user', content: [{ type: 'text', text: '.' }] };
const wantsUser = 'began the conversation with a turn of the user, ".": Anthropic takes no other';

const imageTypes = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'];
const isPdf = (mediaType: string): boolean => mediaType === 'application/pdf';
const isText = (mediaType: string): boolean => mediaType.startsWith('text/') || mediaType === 'application/json';

type Part = Extract<ChatMessage['content'], readonly unknown[]>[number];

/** A part that cannot be sent, told before any byte is; null: all can. */
export function unsupportedPart({ messages }: ChatRequest, quirks: Quirks): string | null {
  for (const { content } of messages) {
    if (!Array.isArray(content)) continue;
    for (const part of content as readonly Part[]) {
      const feature = unsupportedIn(part, quirks);
      if (feature !== null) return feature;
    }
  }
  return null;
}

function unsupportedIn(part: Part, { imageInput, fileInput }: Quirks): string | null {
  if (part.type === 'input_audio') return 'audio input';
  if (part.type === 'file') {
    if (fileInput === 'none') return 'files';
    const mediaType = parseDataUri(part.file.file_data)?.mediaType ?? '';
    return isPdf(mediaType) || isText(mediaType) ? null : 'files other than PDF and text';
  }
  if (part.type !== 'image_url') return null;
  if (imageInput === 'none') return 'images';
  if (!part.image_url.url.startsWith('data:')) {
    if (imageInput === 'data') return 'images by address';
    return part.image_url.url.startsWith('https://') ? null : 'images that are not at an https address';
  }
  const mediaType = parseDataUri(part.image_url.url)?.mediaType ?? '';
  return imageTypes.includes(mediaType) ? null : 'images other than JPEG, PNG, GIF and WebP';
}

export const isInstruction = (message: ChatMessage): boolean =>
  message.role === 'system' || message.role === 'developer';

/** Ids of other providers may hold what this one refuses. */
const isTakenId = (id: string): boolean => /^[A-Za-z0-9_-]+$/.test(id);

/** @param target whose own thinking goes back */
export function toConversation(request: ChatRequest, model: string, target: string): Conversation {
  const { messages } = request;
  const ids = toolCallIds(request, isTakenId);
  const later = messages.findIndex((message) => !isInstruction(message));
  const opening = later < 0 ? messages : messages.slice(0, later);
  const system = opening.flatMap(contentBlocks);
  const turns: Turn[] = [];
  for (const message of later < 0 ? [] : messages.slice(later))
    addTurn(turns, roleOf(message), toBlocks(message, target, ids));
  const placed = placeInstructions(turns, takesLaterSystem(model));
  // There must be a turn to answer.
  if (placed.length === 0) return { system: [], turns: [{ role: 'user', content: system }], warnings: [] };
  if (placed[0]?.role === 'assistant') return { system, turns: [silentUser, ...placed], warnings: [wantsUser] };
  return { system, turns: placed, warnings: [] };
}

const roleOf = (message: ChatMessage): Turn['role'] =>
  isInstruction(message) ? 'system' : message.role === 'assistant' ? 'assistant' : 'user';

function addTurn(turns: Turn[], role: Turn['role'], content: readonly Block[]): void {
  const last = turns.at(-1);
  if (content.length === 0) return;
  if (last?.role !== role) turns.push({ role, content: [...content] });
  else last.content.push(...content);
}

/** Instructions may stand only between what a user said and the answer; elsewhere they are text of the user's, tagged. */
function placeInstructions(turns: readonly Turn[], takesRole: boolean): Turn[] {
  const placed: Turn[] = [];
  for (const [index, turn] of turns.entries()) {
    const next = turns[index + 1];
    const mayStand = takesRole && placed.at(-1)?.role === 'user' && (next === undefined || next.role === 'assistant');
    if (turn.role !== 'system') addTurn(placed, turn.role, turn.content);
    else if (mayStand) placed.push(turn);
    else addTurn(placed, 'user', turn.content.map(tagged));
  }
  return placed.map(({ role, content }) => ({ role, content: resultsFirst(content) }));
}

const tagged = (block: Block): Block => ({ ...block, text: `<system>\n${String(block.text)}\n</system>` });

const resultsFirst = (content: readonly Block[]): Block[] => [
  ...content.filter((block) => block.type === 'tool_result'),
  ...content.filter((block) => block.type !== 'tool_result'),
];

function toBlocks(message: ChatMessage, target: string, ids: ToolCallIds): Block[] {
  if (message.role === 'tool') {
    const marked = contentBlocks(message).findLast((block) => block.cache_control !== undefined);
    return [
      {
        type: 'tool_result',
        tool_use_id: ids.toServer(message.tool_call_id),
        content: contentBlocks(message)
          .map((block) => block.text)
          .join(''),
        ...(marked ? { cache_control: marked.cache_control } : {}),
      },
    ];
  }
  if (message.role !== 'assistant') return contentBlocks(message);
  const said = contentBlocks(message);
  return [
    ...ownReasoning(message, target).map(asRecord).filter(isThinking),
    ...(said.length === 0 && message.refusal ? textBlock(message.refusal) : said),
    ...(message.tool_calls ?? []).map((call) => ({
      type: 'tool_use',
      id: ids.toServer(call.id),
      name: call.function.name,
      input: parseArguments(call.function.arguments),
    })),
  ];
}

export const isThinking = (block: Block): boolean => block.type === 'thinking' || block.type === 'redacted_thinking';

const textBlock = (text: string): Block[] => (text.trim() === '' ? [] : [{ type: 'text', text }]);

function contentBlocks({ content }: ChatMessage): Block[] {
  if (content === null || content === undefined) return [];
  if (typeof content === 'string') return textBlock(content);
  return (content as readonly Part[]).flatMap((part) => toBlock(part).map((block) => ({ ...block, ...markOf(part) })));
}

function toBlock(part: Part): Block[] {
  if (part.type === 'text') return textBlock(part.text);
  if (part.type === 'refusal') return textBlock(part.refusal);
  if (part.type === 'image_url') return [{ type: 'image', source: imageSource(part.image_url.url) }];
  if (part.type !== 'file') return [];
  const title = part.file.filename === undefined ? {} : { title: part.file.filename };
  return [{ type: 'document', source: fileSource(part.file.file_data), ...title }];
}

function imageSource(url: string): Block {
  const data = parseDataUri(url);
  return data ? { type: 'base64', media_type: data.mediaType, data: data.data } : { type: 'url', url };
}

function fileSource(uri: string): Block {
  const { mediaType, data } = parseDataUri(uri) ?? { mediaType: '', data: '' };
  if (isPdf(mediaType)) return { type: 'base64', media_type: mediaType, data };
  return { type: 'text', media_type: 'text/plain', data: Buffer.from(data, 'base64').toString('utf8') };
}

/** Five minutes is theirs by default, an hour the only longer one. */
function markOf(part: Part): Block {
  if (part.type === 'refusal' || part.prompt_cache_breakpoint === undefined) return {};
  const { ttl = '5m' } = part.prompt_cache_breakpoint;
  return { cache_control: ttl === '5m' ? { type: 'ephemeral' } : { type: 'ephemeral', ttl: '1h' } };
}

const mostMarks = 4;

/**
 * Holds cache marks to what the vendor takes: four, none shorter before a longer one. Changes the blocks it is given.
 * @param blocks of the whole request, in its order
 */
export function limitMarks(blocks: readonly Block[]): string[] {
  const marked = blocks.filter((block) => block.cache_control !== undefined);
  const kept = marked.slice(0, mostMarks);
  for (const block of marked.slice(mostMarks)) delete block.cache_control;
  const lastLong = kept.findLastIndex((block) => asRecord(block.cache_control).ttl !== undefined);
  for (const block of kept.slice(0, lastLong + 1)) block.cache_control = { type: 'ephemeral', ttl: '1h' };
  const dropped = marked.length - kept.length;
  return dropped === 0 ? [] : [`dropped ${dropped} cache breakpoints: Anthropic takes ${mostMarks}`];
}

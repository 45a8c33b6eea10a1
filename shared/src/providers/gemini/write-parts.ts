/** The parts of a user's message, or of instructions, as Gemini takes them. */
import type { ChatMessage } from '../../chat/request.ts';
import type { Unsupported } from '../dialect.ts';
import type { Json } from '../provider-json.ts';
import { parseDataUri } from '../written-request.ts';

export interface WrittenParts {
  readonly kind: 'parts';
  readonly parts: Json[];
  readonly warnings: readonly string[];
}

type ContentPart = Exclude<NonNullable<ChatMessage['content']>, string>[number];

/** An empty text is left out: Gemini refuses one. */
export function writeParts(content: ChatMessage['content']): WrittenParts | Unsupported {
  const list: readonly ContentPart[] =
    typeof content === 'string' ? [{ type: 'text', text: content }] : (content ?? []);
  const parts: Json[] = [];
  const warnings: string[] = [];
  for (const each of list) {
    const part = writePart(each);
    if (part?.kind === 'unsupported') return part;
    if (part) parts.push(part.part);
    if ('prompt_cache_breakpoint' in each && each.prompt_cache_breakpoint)
      warnings.push('dropped "prompt_cache_breakpoint": Gemini caches prefixes by itself');
    if (each.type === 'image_url' && (each.image_url.detail ?? 'auto') !== 'auto')
      warnings.push('dropped "detail" of images: Gemini has no equivalent');
    if (each.type === 'file' && each.file.filename !== undefined)
      warnings.push('dropped "filename" of files: Gemini has no equivalent');
  }
  return { kind: 'parts', parts, warnings };
}

type WrittenPart = { readonly kind: 'part'; readonly part: Json };
const toPart = (part: Json): WrittenPart => ({ kind: 'part', part });

function writePart(part: ContentPart): WrittenPart | Unsupported | null {
  if (part.type === 'image_url') return writeImage(part.image_url.url);
  if (part.type === 'input_audio')
    return toPart({ inlineData: { mimeType: `audio/${part.input_audio.format}`, data: part.input_audio.data } });
  if (part.type === 'file') return writeInline(part.file.file_data, 'files that are not base64');
  const text = part.type === 'text' ? part.text : '';
  return text === '' ? null : toPart({ text });
}

function writeInline(uri: string, feature: string): WrittenPart | Unsupported {
  const inline = parseDataUri(uri);
  if (inline === null) return { kind: 'unsupported', feature };
  return toPart({ inlineData: { mimeType: inline.mediaType, data: inline.data } });
}

const imageTypes: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  heic: 'image/heic',
  heif: 'image/heif',
};

/** An address must come with its type, which the ending of its path tells; nothing is fetched to find out. */
function writeImage(url: string): WrittenPart | Unsupported {
  if (url.startsWith('data:')) return writeInline(url, 'images that are not base64');
  const address = URL.canParse(url) ? new URL(url) : null;
  if (address?.protocol !== 'https:') return { kind: 'unsupported', feature: 'images by an address that is not https' };
  const ending = /\.([a-z]+)$/.exec(address.pathname.toLowerCase())?.[1] ?? '';
  const mimeType = Object.hasOwn(imageTypes, ending) ? imageTypes[ending] : undefined;
  if (mimeType === undefined)
    return { kind: 'unsupported', feature: 'images by an address that does not tell their type' };
  return toPart({ fileData: { fileUri: url, mimeType } });
}

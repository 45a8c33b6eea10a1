/** What of a request a server and a model take: the rest is dropped with a warning, or is a reason not to ask them. */
import type { ChatRequest } from '../../chat/request.ts';
import type { CallInput } from '../dialect.ts';
import { type Effort, effortChanged, nearestEffort } from '../efforts.ts';
import { parseDataUri, toolUse, withoutDropped, withoutFields } from '../written-request.ts';
import { refusedFields, rulesOf } from './model-rules.ts';

export type Surface = 'chat' | 'responses';

/** The request without what is refused; what happened to it is added to `warnings`. */
export function fitRequest(
  { request: whole, model, quirks }: CallInput,
  surface: Surface,
  warnings: Set<string>,
): { readonly request: ChatRequest; readonly effort: Effort | null } {
  const taken = withoutDropped({ request: whole, quirks });
  for (const warning of taken.warnings) warnings.add(warning);
  const asked = taken.request.reasoning_effort ?? null;
  const effort = asked === null ? null : nearestEffort(asked, knownEfforts(quirks, model, surface));
  const refused = quirks.vendorRules === 'openai' ? refusedFields(model, effort) : [];
  const fitting = withoutFields(taken.request, refused, 'this model does not take it');
  for (const warning of fitting.warnings) warnings.add(warning);
  const { request } = fitting;
  if (effort === null || refused.includes('reasoning_effort')) return { request, effort: null };
  if (effort !== asked) warnings.add(effortChanged(`"${effort}"`));
  return { request, effort };
}

function knownEfforts(quirks: CallInput['quirks'], model: string, surface: Surface): readonly Effort[] | null {
  const { efforts } = quirks;
  const rules = quirks.vendorRules === 'openai' ? rulesOf(model) : null;
  const ofModel = rules?.efforts ?? null;
  const onSurface =
    surface === 'responses' || ofModel === null
      ? ofModel
      : ofModel.filter((each) => !rules?.effortsOnResponsesOnly.includes(each));
  if (onSurface === null || efforts === null) return onSurface ?? efforts;
  const both = onSurface.filter((each) => efforts.includes(each));
  return both.length === 0 ? onSurface : both;
}

/** What the request needs and this server lacks, in words; null: nothing. */
export function refusedFeature({ request, quirks }: CallInput): string | null {
  const use = toolUse(request);
  const hasTools = (request.tools ?? []).length > 0;
  if (hasTools && use.kind !== 'none' && quirks.drop.includes('tools')) return 'tools';
  if ((use.kind === 'required' || use.kind === 'named') && !quirks.forcedTools) return 'a forced tool call';
  const format = request.response_format?.type ?? 'text';
  if (format !== 'text' && (quirks.jsonMode === 'none' || quirks.drop.includes('response_format')))
    return 'structured output';
  if (format === 'json_schema' && quirks.jsonMode === 'json_object') return 'output by a JSON schema';
  if ((request.n ?? 1) > 1 && quirks.drop.includes('n')) return 'several choices';
  return refusedPart({ request, quirks });
}

function refusedPart({ request, quirks }: Pick<CallInput, 'request' | 'quirks'>): string | null {
  for (const { content } of request.messages) {
    if (!Array.isArray(content)) continue;
    for (const part of content) {
      if (part.type === 'image_url' && quirks.imageInput === 'none') return 'images';
      if (part.type === 'image_url' && quirks.imageInput === 'data' && !parseDataUri(part.image_url.url))
        return 'images by address';
      if (part.type === 'file' && quirks.fileInput === 'none') return 'files';
      if (part.type === 'input_audio' && quirks.audioInput === 'none') return 'audio';
    }
  }
  return null;
}

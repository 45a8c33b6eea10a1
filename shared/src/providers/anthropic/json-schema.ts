/**
 * A JSON schema in the part of the language that Anthropic enforces.
 *
 * What it refuses is told to the model in words instead, and every object is closed, which it demands. Whoever needs
 * the bounds held must check the answer.
 */
import { rewriteInside } from '../json-schema.ts';
import { asList, type Json } from '../provider-json.ts';

const unenforced = new Set([
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'not',
]);

/** What was changed on the way. */
interface Changes {
  readonly told: Set<string>;
  isClosed: boolean;
}

export function toEnforceable(schema: Json): { readonly schema: Json; readonly warnings: readonly string[] } {
  const changes: Changes = { told: new Set(), isClosed: false };
  const written = rewrite(schema, changes);
  const warnings: string[] = [];
  if (changes.told.size > 0)
    warnings.push(`told the model ${[...changes.told].join(', ')} of a JSON schema: Anthropic does not enforce them`);
  if (changes.isClosed) warnings.push('closed the objects of a JSON schema: Anthropic takes no others');
  return { schema: written, warnings };
}

function rewrite(schema: Json, changes: Changes): Json {
  const out: Json = {};
  const bounds: string[] = [];
  for (const [keyword, value] of Object.entries(schema)) {
    if (isUnenforced(keyword, value)) {
      bounds.push(`${keyword} ${JSON.stringify(value)}`);
      changes.told.add(keyword);
    } else out[keyword] = rewriteInside(keyword, value, (each) => rewrite(each, changes));
  }
  if (bounds.length > 0)
    out.description = [schema.description, `Must hold: ${bounds.join(', ')}.`]
      .filter((part) => typeof part === 'string' && part !== '')
      .join(' ');
  if (isObject(schema)) {
    changes.isClosed ||= schema.additionalProperties !== false;
    out.additionalProperties = false;
  }
  return out;
}

/** At most one item may be demanded. */
const isUnenforced = (keyword: string, value: unknown): boolean =>
  unenforced.has(keyword) && !(keyword === 'minItems' && (value === 0 || value === 1));

const isObject = (schema: Json): boolean =>
  schema.type === 'object' || asList(schema.type).includes('object') || 'properties' in schema;

/**
 * A JSON Schema in the words Gemini knows. Two older spellings have a newer one that says the same; every other unknown
 * keyword is left out and named, because one of them would fail the whole request.
 */
import { rewriteInside } from '../json-schema.ts';
import type { Json } from '../provider-json.ts';

const known = new Set(
  ['$id', '$anchor', 'type', 'format', 'title', 'description', 'enum', 'minItems', 'maxItems'].concat(
    ['minimum', 'maximum', 'required', 'propertyOrdering'],
    ['items', 'additionalProperties', 'prefixItems', 'anyOf', 'oneOf', 'properties', '$defs'],
  ),
);

export interface KnownSchema {
  readonly schema: Json;
  /** Keywords that were left out, each once. */
  readonly dropped: ReadonlySet<string>;
}

export function toKnownSchema(schema: Json): KnownSchema {
  const dropped = new Set<string>();
  return { schema: rewrite(schema, dropped), dropped };
}

function rewrite(schema: Json, dropped: Set<string>): Json {
  const entries = Object.entries(schema).flatMap(([keyword, value]) => {
    const entry = toKnown(keyword, value);
    if (entry === null) dropped.add(/^[$A-Za-z][\w$-]{0,39}$/.test(keyword) ? keyword : 'another keyword');
    return entry === null ? [] : [[entry[0], rewriteInside(...entry, (each) => rewrite(each, dropped))]];
  });
  return Object.fromEntries(entries);
}

/** The keyword as Gemini writes it, and its value; null: there is none. */
function toKnown(keyword: string, value: unknown): [keyword: string, value: unknown] | null {
  if (known.has(keyword)) return [keyword, value];
  if (keyword === '$ref')
    return typeof value === 'string' ? [keyword, value.replace('#/definitions/', '#/$defs/')] : null;
  if (keyword === 'definitions') return ['$defs', value];
  // Only texts and numbers can be listed.
  if (keyword === 'const' && (typeof value === 'string' || typeof value === 'number')) return ['enum', [value]];
  return null;
}

const mostNamed = 10;

/** @param where `the schemas of tools`: names of properties are the caller's, and stay out of it */
export function droppedKeywords(dropped: ReadonlySet<string>, where: string): string[] {
  if (dropped.size === 0) return [];
  const names = [...dropped].slice(0, mostNamed).map((each) => `"${each}"`);
  const more = dropped.size > mostNamed ? ` and ${dropped.size - mostNamed} more` : '';
  return [`dropped ${names.join(', ')}${more} from ${where}: Gemini does not know them`];
}

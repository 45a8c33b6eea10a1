/** The walk through a JSON schema. What becomes of a keyword is each provider's own matter. */
import { asRecord, type Json } from './provider-json.ts';

/** Keywords whose value names schemas: its keys are the caller's words, not keywords. */
const ofNamedSchemas = new Set(['properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions']);
/** Keywords whose value is a schema, or a list of them. */
const ofSchemas = new Set([
  'items',
  'prefixItems',
  'contains',
  'additionalProperties',
  'propertyNames',
  'anyOf',
  'oneOf',
  'allOf',
  'not',
  'if',
  'then',
  'else',
]);

/** A keyword's value with the schemas inside of it rewritten; one that holds none stays as it is. */
export function rewriteInside(keyword: string, value: unknown, rewrite: (schema: Json) => Json): unknown {
  if (ofNamedSchemas.has(keyword))
    return Object.fromEntries(Object.entries(asRecord(value)).map(([name, each]) => [name, rewriteAny(each, rewrite)]));
  return ofSchemas.has(keyword) ? rewriteAny(value, rewrite) : value;
}

/** `true` and `false` are schemas too, and have nothing inside. */
function rewriteAny(value: unknown, rewrite: (schema: Json) => Json): unknown {
  if (Array.isArray(value)) return value.map((each) => rewriteAny(each, rewrite));
  return typeof value === 'object' && value !== null ? rewrite(value as Json) : value;
}

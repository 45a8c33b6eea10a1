/**
 * Whether an answer is the JSON that was asked for.
 *
 * The schema comes from outside: it is bounded, its patterns run in linear time, and one that the validator does not
 * understand passes every JSON: the provider has taken it, and we must not refuse what we cannot judge.
 */
import { createHash } from 'node:crypto';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { RE2JS } from 're2js';
import { parseAnswerJson } from '../domain/json-text.ts';
import type { ChatRequest } from './request.ts';

const longestSchema = 256 * 1_024;
const mostSchemas = 200;

/** Why the answer is of no use, in words that hold nothing of it; null: it is what was asked for. */
export function checkOutput(text: string, format: ChatRequest['response_format']): string | null {
  if (format === undefined || format.type === 'text') return null;
  let value: unknown;
  try {
    value = parseAnswerJson(text);
  } catch {
    return 'the answer is not JSON';
  }
  if (format.type === 'json_object')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? null : 'the answer is not an object';
  const validate = validatorOf(format.json_schema.schema);
  if (validate === null || validate(value)) return null;
  // The keyword alone: paths and values are the model's words.
  return `the answer does not hold to the schema ("${validate.errors?.[0]?.keyword ?? 'schema'}")`;
}

/** By a hash of the schema; the oldest are forgotten first. null: it cannot be compiled. */
const compiled = new Map<string, ValidateFunction | null>();

function validatorOf(schema: Record<string, unknown>): ValidateFunction | null {
  const text = JSON.stringify(schema);
  if (text.length > longestSchema) return null;
  const key = createHash('sha256').update(text).digest('base64');
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const [oldest] = compiled.keys();
  if (compiled.size >= mostSchemas && oldest !== undefined) compiled.delete(oldest);
  const validate = compile(schema);
  compiled.set(key, validate);
  return validate;
}

/** RE2's engine, because a pattern of a stranger's must not stop the event loop. */
const linearPattern = Object.assign(
  (pattern: string) => {
    const expression = RE2JS.compile(pattern);
    return { test: (text: string) => expression.matcher(text).find() };
  },
  { code: 'linearPattern' },
);

function compile(schema: Record<string, unknown>): ValidateFunction | null {
  try {
    // One for each schema, so that an `$id` used twice is no conflict, and nothing is kept of a forgotten one.
    const ajv = new Ajv2020({
      strict: false,
      validateSchema: false,
      logger: false,
      code: { regExp: linearPattern },
    });
    addFormats.default(ajv);
    const { $schema: _dialect, ...rest } = schema;
    return ajv.compile(rest);
  } catch {
    return null;
  }
}

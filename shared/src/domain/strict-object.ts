/**
 * Borders that obey or refuse: an unknown field is an error that names the closest known one, and a field that is
 * designed but not built is refused by name instead of being ignored.
 */
import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { type ProblemCode, problems } from './problem.ts';

/** `did you mean "max_tokens"?`, or an empty string when nothing is near. */
export function nearestHint(name: string, known: readonly string[]): string {
  if (known.length === 0 || name.length > 64) return '';
  const near = closest(name, [...known]);
  return distance(name, near) <= Math.max(2, Math.floor(near.length / 3)) ? `; did you mean "${near}"?` : '';
}

/** A zod object that refuses unknown keys with the closest known name. */
export function strictObject<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined;
      const keys = (issue as { keys?: string[] }).keys ?? [];
      return keys.map((key) => `unknown field "${key.slice(0, 64)}"${nearestHint(key, known)}`).join(', ');
    },
  });
}

/** Accepts a field that is unset, null or neutral; refuses any other value as `not_supported_yet`. */
export function notSupportedYet(name: string, neutral: (value: unknown) => boolean = () => false) {
  return z
    .unknown()
    .transform((value, context) => {
      if (value !== undefined && value !== null && !neutral(value)) {
        context.addIssue({
          code: 'custom',
          message: `"${name}" is not supported yet; remove it`,
          params: { code: 'not_supported_yet' },
        });
      }
      return undefined;
    })
    .optional();
}

export interface Fault {
  readonly path: string;
  readonly code: ProblemCode;
  readonly message: string;
}

const codeOfIssue: Record<string, ProblemCode> = {
  invalid_type: 'invalid_type',
  too_big: 'out_of_range',
  too_small: 'out_of_range',
  not_multiple_of: 'out_of_range',
  unrecognized_keys: 'unknown_field',
  invalid_union: 'invalid_type',
};

/** All faults of a failed parse, one per line of thought, with paths such as `providers.openai.limits.rpm`. */
export function faultsOf(error: z.core.$ZodError, root = ''): Fault[] {
  return error.issues.flatMap((issue) => {
    const path = toPath(root, issue.path);
    if (issue.code === 'invalid_union') {
      const deepest = issue.errors.flat().toSorted((a, b) => b.path.length - a.path.length)[0];
      if (deepest && deepest.path.length > 0) {
        return faultsOf({ issues: [{ ...deepest, path: [...issue.path, ...deepest.path] }] } as z.core.$ZodError, root);
      }
    }
    const custom = issue.code === 'custom' ? (issue.params?.code as string | undefined) : undefined;
    const code = custom && custom in problems ? (custom as ProblemCode) : (codeOfIssue[issue.code] ?? 'invalid_value');
    return [{ path, code, message: issue.message }];
  });
}

function toPath(root: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, root);
}

/** Reads the YAML file: bounded, without code, without alias bombs, with `${VAR}` and `${VAR:-default}` replaced. */
import { readFileSync, statSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { Problem } from '../domain/problem.ts';
import type { Fault } from '../domain/strict-object.ts';

const maxBytes = 1024 * 1024;
const maxAliases = 50;

/** The parsed YAML, or null when the file is the default one and not there. */
export function readConfigFile(
  path: string,
  isNamed: boolean,
  env: NodeJS.ProcessEnv,
): { value: unknown } | { faults: Fault[] } | null {
  const text = readText(path, isNamed);
  if (text === null) return null;
  const faults: Fault[] = [];
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false, merge: false });
  for (const error of document.errors) {
    const { line, col } = lines.linePos(error.pos[0]);
    faults.push({ path: `${path}:${line}:${col}`, code: 'invalid_config', message: error.message });
  }
  if (faults.length > 0) return { faults };
  try {
    const value = replaceVariables(document.toJS({ maxAliasCount: maxAliases }), env, '', faults);
    return faults.length > 0 ? { faults } : { value };
  } catch (cause) {
    return {
      faults: [
        {
          path,
          code: 'invalid_config',
          message: `cannot be expanded: ${cause instanceof Error ? cause.message : String(cause)}`,
        },
      ],
    };
  }
}

function readText(path: string, isNamed: boolean): string | null {
  try {
    const stats = statSync(path);
    if (!stats.isFile())
      throw new Problem('file_unreadable', `Cannot read the configuration ${path}: it is not a file`);
    if (stats.size > maxBytes)
      throw new Problem(
        'file_unreadable',
        `Cannot read the configuration ${path}: ${stats.size} bytes, at most ${maxBytes} are allowed`,
      );
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (code === 'ENOENT' && !isNamed) return null;
    throw new Problem(
      'file_unreadable',
      `Cannot read the configuration ${path} (${code}). Copy waybill.example.yaml there, or unset WAYBILL_CONFIG`,
      { cause },
    );
  }
}

function replaceVariables(value: unknown, env: NodeJS.ProcessEnv, path: string, faults: Fault[]): unknown {
  if (typeof value === 'string') return replaceIn(value, env, path, faults);
  if (Array.isArray(value)) return value.map((item, index) => replaceVariables(item, env, `${path}[${index}]`, faults));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      replaceVariables(item, env, path === '' ? key : `${path}.${key}`, faults),
    ]),
  );
}

function replaceIn(text: string, env: NodeJS.ProcessEnv, path: string, faults: Fault[]): string {
  return text.replaceAll(
    /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g,
    (_, name: string, fallback: string | undefined) => {
      const value = env[name]?.replace(/\r?\n$/, '');
      if (value !== undefined && /^(["']).*\1$/s.test(value))
        faults.push({
          path,
          code: 'invalid_config',
          message: `the environment variable ${name} is wrapped in quotes; remove them`,
        });
      if (value !== undefined && value !== '') return value;
      if (fallback !== undefined) return fallback;
      faults.push({
        path,
        code: 'invalid_config',
        message: `the environment variable ${name} is not set; set it, or write \${${name}:-default}`,
      });
      return '';
    },
  );
}

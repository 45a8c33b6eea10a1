/** The project's own source, parsed: what the tidy test reads. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAst } from 'vitest/node';

export const projectRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const folders = ['shared', 'producer', 'workers', 'dashboards', 'cli', 'test', 'bench'] as const;
export type Folder = (typeof folders)[number];

/** A node of the ESTree (with TypeScript's additions) that Vite's parser makes. */
export interface AstNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

export interface SourceFile {
  /** From the project's root, with `/`. */
  readonly path: string;
  readonly folder: Folder;
  readonly text: string;
  readonly lineCount: number;
  /** Every node of the file, parents first. */
  readonly nodes: readonly AstNode[];
}

export const readProjectFile = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');

/** Paths of all files and folders below the source folders, without what is installed or made. */
export function listPaths(): string[] {
  const isMade = (path: string) => /(^|\/)(node_modules|coverage|dist|\.turbo|\.waybill)(\/|$)/.test(path);
  return folders
    .flatMap((folder) =>
      readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' }).map((path) =>
        posix.join(folder, path.split(sep).join('/')),
      ),
    )
    .filter((path) => !isMade(path))
    .sort();
}

export function readSources(): SourceFile[] {
  return listPaths()
    .filter((path) => /\.tsx?$/.test(path))
    .map((path) => {
      const text = readProjectFile(path);
      const lang = path.endsWith('.d.ts') ? 'dts' : path.endsWith('.tsx') ? 'tsx' : 'ts';
      const program = parseAst(text, { lang }, path) as unknown as AstNode;
      return {
        path,
        folder: path.split('/')[0] as Folder,
        text,
        lineCount: lineAt(text, text.trimEnd().length),
        nodes: [...walk(program)],
      };
    });
}

/** 1 for the first line. */
export const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length;

/** Everything a file names as a module: imports, re-exports, `import()` and `import('…')` types. */
export function specifiersOf(file: SourceFile): string[] {
  const sourced = [
    'ImportDeclaration',
    'ExportNamedDeclaration',
    'ExportAllDeclaration',
    'ImportExpression',
    'TSImportType',
  ];
  return file.nodes
    .filter((node) => sourced.includes(node.type))
    .map((node) => (node.source as { value?: unknown } | null)?.value)
    .filter((value) => typeof value === 'string');
}

/** The file of ours that a specifier means, or null for a package. */
export function resolveSpecifier(from: string, specifier: string): string | null {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(from), specifier);
  const [, folder, path] = /^@waybill\/([^/]+)\/(.+)$/.exec(specifier) ?? [];
  return folder === undefined ? null : `${folder}/src/${path}`;
}

/** Names a file gives to things: variables, parameters, functions, classes, types and their members. */
export function declaredNames(file: SourceFile): string[] {
  const names: string[] = [];
  for (const node of file.nodes) {
    if (namedById.has(node.type)) names.push(...bindingNames(node.id));
    if (namedByKey.has(node.type) && node.computed !== true) names.push(...bindingNames(node.key));
    if (Array.isArray(node.params) && /Function/.test(node.type))
      for (const each of node.params) names.push(...bindingNames(each));
  }
  return names;
}

const namedById = new Set([
  'VariableDeclarator',
  'FunctionDeclaration',
  'FunctionExpression',
  'ClassDeclaration',
  'TSInterfaceDeclaration',
  'TSTypeAliasDeclaration',
]);
const namedByKey = new Set(['MethodDefinition', 'PropertyDefinition', 'TSPropertySignature', 'TSMethodSignature']);

/** The names a pattern binds: `{ a: b, ...rest }` binds `b` and `rest`. */
function bindingNames(pattern: unknown): string[] {
  if (!isNode(pattern)) return [];
  if (pattern.type === 'Identifier') return [String(pattern.name)];
  const inner = [pattern.left, pattern.argument, pattern.type === 'Property' ? pattern.value : null];
  const lists = [pattern.properties, pattern.elements].filter((list) => Array.isArray(list));
  return [...inner, ...lists.flat()].flatMap(bindingNames);
}

function* walk(node: AstNode): Generator<AstNode> {
  yield node;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* walk(child);
  }
}

const isNode = (value: unknown): value is AstNode =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

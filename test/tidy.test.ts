/**
 * The house rules, as tests over our own source.
 *
 * A rule that only a page states is broken within a month. Each case collects every violation, so that one run shows
 * them all. An exception stands here, with its reason.
 */

import { problems } from '@waybill/shared/domain/problem.ts';
import { genaiPricesVersion } from '@waybill/shared/pricing/price.ts';
import { pgliteVersion } from '@waybill/shared/store/open-embedded.ts';
import { describe, expect, it } from 'vitest';
import { renderErrorsPage } from './support/errors-page.ts';
import {
  type AstNode,
  declaredNames,
  type Folder,
  folders,
  lineAt,
  listPaths,
  readProjectFile,
  readSources,
  resolveSpecifier,
  type SourceFile,
  specifiersOf,
} from './support/source-tree.ts';

const sources = readSources();
const isTest = (path: string): boolean => path.endsWith('.test.ts');
const isGenerated = (path: string): boolean => /(^|\/)generated\/|\.generated\.ts$/.test(path);

/** `path:line` of each node the rule objects to, in the files it is about. */
function violations(isAbout: (file: SourceFile) => boolean, objectsTo: (node: AstNode) => boolean): string[] {
  return sources
    .filter(isAbout)
    .flatMap((file) => file.nodes.filter(objectsTo).map((node) => `${file.path}:${lineAt(file.text, node.start)}`));
}

const everywhere = () => true;
const nameOf = (node: unknown): unknown => (node as AstNode | null)?.name ?? (node as AstNode | null)?.value;

describe('imports', () => {
  const all: readonly Folder[] = folders;
  const allowed: Readonly<Record<Folder, readonly Folder[]>> = {
    shared: [],
    producer: ['shared'],
    workers: ['shared'],
    dashboards: ['shared'],
    cli: ['producer', 'workers', 'dashboards', 'shared'],
    test: all,
    bench: all,
  };
  const edges = sources.flatMap((file) =>
    specifiersOf(file).map((specifier) => ({ file, specifier, to: resolveSpecifier(file.path, specifier) })),
  );

  it('are found', () => {
    expect(edges.filter(({ to }) => to !== null).length).toBeGreaterThan(100);
  });

  it('point one way: cli, then producer, workers and dashboards, then shared; nothing needs test or bench', () => {
    const wrong = edges.filter(({ file, to }) => {
      const target = to?.split('/')[0] as Folder | undefined;
      return target !== undefined && target !== file.folder && !allowed[file.folder].includes(target);
    });
    expect(wrong.map(({ file, specifier }) => `${file.path} -> ${specifier}`)).toEqual([]);
  });

  it('of our own files name the whole file, with its extension', () => {
    // `.tsx` and `.css` are the browser's: only Vite reads them.
    const wrong = edges.filter(
      ({ to }) => to !== null && !/\.(ts|json)$/.test(to) && !/^dashboards\/.*\.(tsx|css)$/.test(to),
    );
    expect(wrong.map(({ file, specifier }) => `${file.path} -> ${specifier}`)).toEqual([]);
  });

  it('make no cycle between files, not even of types', () => {
    const graph = Map.groupBy(edges, ({ file }) => file.path);
    expect(findCycles((path) => (graph.get(path) ?? []).flatMap(({ to }) => to ?? []))).toEqual([]);
  });
});

describe('size', () => {
  it('a file has at most 400 lines', () => {
    const long = sources.filter((file) => file.lineCount > 400 && !isGenerated(file.path));
    expect(long.map((file) => `${file.path}: ${file.lineCount}`)).toEqual([]);
  });

  it('a function has at most 70 lines, outside of tests', () => {
    const long = sources
      .filter((file) => !isTest(file.path) && !isGenerated(file.path))
      .flatMap((file) =>
        file.nodes
          .filter((node) => /^(Arrow)?Function(Declaration|Expression)$/.test(node.type))
          .map((node) => [lineAt(file.text, node.start), lineAt(file.text, node.end)] as const)
          .filter(([first, last]) => last - first + 1 > 70)
          .map(([first, last]) => `${file.path}:${first}: ${last - first + 1} lines`),
      );
    expect(long).toEqual([]);
  });
});

describe('names', () => {
  it('of files and folders say what is in them', () => {
    const banned =
      /(^|[-./])(utils?|helpers?|common|managers?|misc)([-./]|$)|(^|\/)(types|interfaces|classes)(\/|$)|(^|\/)index\.tsx?$/;
    // It declares the module `pg/lib/utils.js`, whose name is not ours.
    const exceptions = ['shared/src/store/pg-utils.d.ts'];
    expect(listPaths().filter((path) => banned.test(path) && !exceptions.includes(path))).toEqual([]);
  });

  /** The synonyms of the design's vocabulary; of two words when one alone means something else too. */
  const synonyms: Readonly<Record<string, string>> = {
    task: 'job',
    generation: 'job',
    deployment: 'target',
    vendor: 'provider',
    upstream: 'provider',
    'provider backend': 'provider', // `backend` alone: the queue has two.
    'provider key': 'credential',
    failover: 'fallback',
    cascade: 'fallback',
    handover: 'fallback',
    'hand over': 'fallback',
    overflow: 'fallback',
    // Not `route`: Express has routes.
  };
  /** File and name: the word in its other meaning. */
  const exceptions = new Set([
    'shared/src/providers/anthropic/write-request.ts generation', // The generation of a model: 4.6.
    'shared/src/store/workers.ts taskLeaseMs', // What one process does for the whole fleet, such as upkeep.
  ]);
  /** Azure's own word, in its addresses and answers. */
  const isAzure = (path: string, word: string) => word === 'deployment' && path.includes('/azure-openai/');

  it('of things use one word per thing', () => {
    const wrong = sources.flatMap((file) =>
      [...declaredNames(file), file.path.replace(/\.[^/]*$/, '')].flatMap((name) => {
        const words = ` ${name
          .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
          .replace(/[^a-zA-Z0-9]+/g, ' ')
          .toLowerCase()} `;
        return Object.entries(synonyms)
          .filter(([word]) => new RegExp(` ${word}s? `).test(words))
          .filter(([word]) => !exceptions.has(`${file.path} ${name}`) && !isAzure(file.path, word))
          .map(([, right]) => `${file.path}: ${name} (we say ${right})`);
      }),
    );
    expect(wrong).toEqual([]);
  });
});

describe('code', () => {
  it('is exported by name', () => {
    const isDefault = (node: AstNode) =>
      node.type === 'ExportDefaultDeclaration' ||
      (node.type === 'ExportSpecifier' && nameOf(node.exported) === 'default');
    expect(violations(everywhere, isDefault)).toEqual([]);
  });

  it('is TypeScript that Node can run by stripping the types', () => {
    const unstrippable = [
      'TSEnumDeclaration',
      'TSParameterProperty',
      'TSImportEqualsDeclaration',
      'TSExportAssignment',
      'Decorator',
    ];
    const isUnstrippable = (node: AstNode) =>
      unstrippable.includes(node.type) || (node.type === 'TSModuleDeclaration' && node.declare !== true);
    expect(violations((file) => !file.path.endsWith('.d.ts'), isUnstrippable)).toEqual([]);
  });

  it('writes to a logger, not to the console, except on the command line', () => {
    const isConsole = (node: AstNode) => node.type === 'MemberExpression' && nameOf(node.object) === 'console';
    expect(violations((file) => !['cli', 'bench', 'test'].includes(file.folder), isConsole)).toEqual([]);
  });

  it('reads the environment in one place', () => {
    const isEnvironment = (node: AstNode) =>
      (node.type === 'MemberExpression' && nameOf(node.object) === 'process' && nameOf(node.property) === 'env') ||
      (node.type === 'VariableDeclarator' && nameOf(node.init) === 'process') ||
      (node.type === 'ImportDeclaration' && /^(node:)?process$/.test(String(nameOf(node.source))));
    const isAbout = ({ path, folder }: SourceFile) =>
      path !== 'shared/src/config/environment.ts' && !isTest(path) && !['cli', 'bench', 'test'].includes(folder);
    expect(violations(isAbout, isEnvironment)).toEqual([]);
  });

  it('leaves nothing for later in a comment', () => {
    // In two halves, or this line would be found.
    const marks = new RegExp(
      `\\b(${['TO|DO', 'FIX|ME', 'XX|X', 'HA|CK'].map((mark) => mark.replace('|', '')).join('|')})\\b`,
    );
    const found = sources.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, n) => (marks.test(line) ? [`${path}:${n + 1}`] : [])),
    );
    expect(found).toEqual([]);
  });

  it('runs every test', () => {
    const isLeftOut = (node: AstNode) =>
      node.type === 'MemberExpression' &&
      ['it', 'test', 'describe', 'suite'].includes(String(nameOf(node.object))) &&
      ['only', 'skip', 'todo', 'fails'].includes(String(nameOf(node.property)));
    expect(violations((file) => isTest(file.path), isLeftOut)).toEqual([]);
  });
});

describe('packages', () => {
  const manifests = ['', ...folders].map((folder) => ({
    folder: folder || 'root',
    manifest: JSON.parse(readProjectFile(`${folder || '.'}/package.json`)) as Record<string, Record<string, string>>,
  }));
  const dependencies = manifests.flatMap(({ folder, manifest }) =>
    ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies']
      .flatMap((kind) => Object.entries(manifest[kind] ?? {}))
      .filter(([name]) => !name.startsWith('@waybill/'))
      .map(([name, range]) => ({ folder, name, range })),
  );

  it('come from whatever registry the user has: the lock file names none', () => {
    expect(readProjectFile('package-lock.json').match(/"resolved": "https?:[^"]*"/g)).toBeNull();
  });

  it.each([
    ['@pydantic/genai-prices', genaiPricesVersion],
    ['@electric-sql/pglite', pgliteVersion],
  ])('%s is installed in the version that the source names', (name, version) => {
    expect(JSON.parse(readProjectFile(`node_modules/${name}/package.json`)).version).toBe(version);
    expect(dependencies.filter((each) => each.name === name).map(({ range }) => range)).toEqual([version]);
  });

  it('each have a row in docs/dependencies.md, and no row is left over', () => {
    const rows = readProjectFile('docs/dependencies.md').matchAll(
      /^\| `([^`]+)` \| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$/gm,
    );
    const documented = [...rows].flatMap(([, name, range, usedIn, why]) =>
      (usedIn ?? '')
        .split(',')
        .map((folder) => ({ folder: folder.trim(), name, range, hasReason: (why ?? '').length > 20 })),
    );
    const inOrder = (list: readonly object[]) => list.map((each) => JSON.stringify(each)).sort();
    const expected = dependencies.map(({ folder, name, range }) => ({ folder, name, range, hasReason: true }));
    expect(inOrder(documented)).toEqual(inOrder(expected));
  });
});

describe('docs/errors.md', () => {
  it('is the catalogue of problems, whole', () => {
    expect(readProjectFile('docs/errors.md')).toBe(renderErrorsPage());
  });

  it('has one row per code, and no other', () => {
    const rows = [...readProjectFile('docs/errors.md').matchAll(/^\| `([a-z0-9_]+)` \| (\d{3}) \|/gm)];
    const codes = Object.fromEntries(rows.map(([, code, status]) => [code, Number(status)]));
    expect(rows).toHaveLength(Object.keys(problems).length);
    expect(codes).toEqual(Object.fromEntries(Object.entries(problems).map(([code, [status]]) => [code, status])));
  });
});

/** Each cycle once, as `a -> b -> a`. */
function findCycles(next: (path: string) => readonly string[]): string[] {
  const cycles: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    if (state.get(path) === 'open') cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
    if (state.has(path)) return;
    state.set(path, 'open');
    trail.push(path);
    for (const each of next(path)) visit(each);
    trail.pop();
    state.set(path, 'done');
  };
  for (const file of sources) visit(file.path);
  return cycles;
}

/** The pages about providers: what they render from the code is the code's, and what they show to be pasted works. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadConfig } from '@waybill/shared/config/load.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import { presetIds } from '@waybill/shared/providers/presets.ts';
import { afterAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { generatedPages, partNames, withParts } from '../support/provider-pages.ts';
import { projectRoot, readProjectFile } from '../support/source-tree.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-pages-'));
afterAll(() => rmSync(folder, { recursive: true }));

const pages = generatedPages();

test('every preset has a page, and every page but the overview is of a preset', () => {
  const named = pages.flatMap((page) => /^docs\/providers\/(.*)\.md$/.exec(page)?.[1] ?? []);
  expect(named.filter((name) => name !== 'README').toSorted()).toEqual(presetIds.toSorted());
});

test.for(pages)('%s has its generated parts as the code renders them', (page) => {
  const text = readProjectFile(page);
  expect(text, 'write it anew: node test/support/provider-pages.ts').toBe(withParts(page, text));
});

test.for(pages.filter((page) => page.startsWith('docs/providers/')))('%s has the parts of its kind', (page) => {
  const expected = page.endsWith('README.md') ? ['overview', 'kinds'] : ['facts', 'fields', 'errors'];
  expect(partNames(readProjectFile(page))).toEqual(expect.arrayContaining(expected));
});

const withYaml = [
  ...pages,
  'docs/configuration.md',
  'docs/embeddings.md',
  'docs/structured-output.md',
  'docs/webhooks.md',
];
/** Pages that show parts of a file: a chain, its policy, tenants. */
const inParts = ['docs/routing.md', 'docs/budgets.md', 'docs/approvals.md'];
const blocksOf = (page: string, change: (text: string) => string) =>
  [...readProjectFile(page).matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text = ''], index) => ({
    name: `${page}, block ${index + 1}`,
    text: change(text),
  }));
const examples = [
  { name: 'waybill.example.yaml', text: readProjectFile('waybill.example.yaml') },
  ...withYaml.flatMap((page) => blocksOf(page, (text) => text)),
  ...inParts.flatMap((page) => blocksOf(page, completed)),
];

/** A part that has no providers, with what it leans on: some of them, and every chain that it names. */
function completed(text: string): string {
  const part = parse(text) as Partial<Record<'providers' | 'chains' | 'classify' | 'tenants' | 'strategy', object>>;
  if (part.providers) return text;
  const providers = { openai: { labels: ['eu'] }, groq: {}, ollama: {} };
  const chain = { targets: ['openai/gpt-4.1-mini', 'groq/llama-3.3-70b-versatile', 'ollama/llama3.2'] };
  // A policy alone is a chain's.
  if (part.strategy) return stringify({ providers, chains: { default: { ...chain, ...part } } });
  const classes = Object.values(part.classify ?? {}).flatMap((each) => Object.values(each));
  const ofTenants = Object.values(part.tenants ?? {}).flatMap((each: { chain?: string }) => each.chain ?? []);
  const named = [...classes, ...ofTenants].filter((name) => typeof name === 'string');
  const chains = { default: chain, ...Object.fromEntries(named.map((name) => [name, chain])), ...part.chains };
  return stringify({ ...part, providers, chains });
}

/** Loads it as a process would, with every variable and file that it names. */
async function load(text: string, more: NodeJS.ProcessEnv = {}): Promise<Settings> {
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'a-secret-of-a-test\n');
  const path = join(folder, 'waybill.yaml');
  writeFileSync(path, text.replaceAll(/\bfile: \/run\/secrets\/[a-z-]+/g, `file: ${secret}`));
  const named = [...text.matchAll(/\benv: ([A-Z_]+)/g)].map(([, name = '']) => [name, 'a-secret-of-a-test']);
  const usual = presetIds.map((id) => [`${id.toUpperCase().replaceAll('-', '_')}_API_KEY`, 'a-secret-of-a-test']);
  const env = { ...Object.fromEntries([...usual, ...named]), ...more, WAYBILL_CONFIG: path };
  const { settings } = await loadConfig(env, () => Promise.resolve([]));
  return settings;
}

test.for(examples)('$name loads, and sets what it names', async ({ text }) => {
  const { providers = {}, chains = {} } = parse(text) as { providers?: object; chains?: object };
  const settings = await load(text);
  expect(Object.keys(settings.providers)).toEqual(Object.keys(providers));
  expect(Object.keys(settings.chains)).toEqual(expect.arrayContaining(Object.keys(chains)));
  // Where every provider is in use, nothing is left to be said.
  expect((await load(text.replaceAll('enabled: false', 'enabled: true'))).notes).toEqual([]);
});

test('the examples are found', () => {
  expect(examples.length).toBeGreaterThan(presetIds.length);
  for (const page of inParts)
    expect(
      examples.some(({ name }) => name.startsWith(page)),
      page,
    ).toBe(true);
});

const linking = [...withYaml, ...inParts, 'README.md', 'CHANGELOG.md', 'docs/jobs.md', 'docs/cli.md'];

test.for(linking)('%s links to pages and sections that are there', (page) => {
  const links = [...readProjectFile(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)];
  const broken = links.flatMap(([, path = '', section]) => {
    const to = path === '' ? join(projectRoot, page) : join(projectRoot, dirname(page), path);
    if (!existsSync(to)) return [path];
    if (section === undefined) return [];
    return sectionsOf(readFileSync(to, 'utf8')).includes(section) ? [] : [`${path}#${section}`];
  });
  expect(broken).toEqual([]);
});

/** Headings as GitHub names them in addresses. */
const sectionsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  );

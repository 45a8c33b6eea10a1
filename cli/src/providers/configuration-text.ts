/** A configuration to paste: what was found, written as a file of ours. Pure. */

export interface FoundProvider {
  readonly id: string;
  readonly preset: string;
  /** null: the preset's own. */
  readonly endpoint: string | null;
  /** The variable that holds its credential; null: it asks for none. */
  readonly variable: string | null;
  /** What the chain uses; null: it has none. */
  readonly model: string | null;
  /** Why it cannot be used now; null: it can. */
  readonly problem: string | null;
}

/** A name from outside must not become a variable of the file, nor a line of its own. */
export const isSafeModel = (name: string): boolean => /^[^\s\p{C}]{1,200}$/u.test(name) && !name.includes('${');

export function configurationText(found: readonly FoundProvider[], notes: readonly string[]): string {
  const usable = found.filter((each) => each.problem === null && each.model !== null);
  return [
    '# Written by "waybill providers discover". Names of variables stand here, and no secret.',
    ...notes.map((note) => `# ${oneLine(note)}`),
    ...(found.length === 0 ? ['providers: {}'] : ['providers:', ...found.flatMap(providerLines)]),
    ...(usable.length === 0
      ? []
      : [
          'chains:',
          '  default:',
          '    targets:',
          ...usable.map(({ id, model }) => `      - ${quoted(`${id}/${model}`)}`),
        ]),
    '',
  ].join('\n');
}

function providerLines({ id, preset, endpoint, variable, model, problem }: FoundProvider): string[] {
  return [
    `  ${id}:`,
    ...(id === preset ? [] : [`    preset: ${preset}`]),
    ...(problem === null ? [] : [`    enabled: false # ${oneLine(problem)}`]),
    ...(endpoint === null ? [] : [`    base_url: ${quoted(endpoint)}`]),
    ...(variable === null ? [] : [`    credentials: [{ env: ${variable} }]`]),
    ...(model === null ? [] : ['    models:', `      ${quoted(model)}: {}`]),
  ];
}

/** JSON's texts are YAML's. */
const quoted = (text: string): string => JSON.stringify(text);
const oneLine = (text: string): string => text.replace(/\s+/g, ' ');

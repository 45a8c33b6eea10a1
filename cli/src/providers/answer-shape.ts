/**
 * The shape of a provider's answer: which fields it has and of which type, without a word of its content. Compared with
 * one recorded before, it says that a provider has changed what it sends.
 */
export type Shape = Readonly<Record<string, string>>;

const mostFields = 2_000;
const mostDepth = 12;

/** `choices[].message.content: string`. Items of a list share one path. */
export function shapeOf(body: unknown): Shape {
  const found = new Map<string, Set<string>>();
  const visit = (value: unknown, path: string, depth: number): void => {
    if (found.size >= mostFields || depth > mostDepth) return;
    const type = Array.isArray(value) ? 'list' : value === null ? 'null' : typeof value;
    found.set(path, (found.get(path) ?? new Set()).add(type));
    if (Array.isArray(value)) for (const item of value) visit(item, `${path}[]`, depth + 1);
    else if (typeof value === 'object' && value !== null)
      for (const [name, item] of Object.entries(value)) visit(item, path === '' ? name : `${path}.${name}`, depth + 1);
  };
  visit(body, '', 0);
  return Object.fromEntries(
    [...found]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, types]) => [path, [...types].toSorted().join(' | ')]),
  );
}

export type ShapeChange =
  | { readonly kind: 'field_gone'; readonly path: string }
  | { readonly kind: 'type_changed'; readonly path: string; readonly from: string; readonly to: string }
  | { readonly kind: 'field_new'; readonly path: string };

/** A value that is null now and was not, or the other way round, is no change: answers differ in what they leave out. */
export function compareShapes(recorded: Shape, live: Shape): ShapeChange[] {
  const changes: ShapeChange[] = [];
  for (const [path, from] of Object.entries(recorded)) {
    const to = live[path];
    if (to === undefined) changes.push({ kind: 'field_gone', path });
    else if (withoutNull(from) !== withoutNull(to) && withoutNull(from) !== '' && withoutNull(to) !== '')
      changes.push({ kind: 'type_changed', path, from, to });
  }
  for (const path of Object.keys(live)) if (!(path in recorded)) changes.push({ kind: 'field_new', path });
  return changes;
}

const withoutNull = (types: string): string =>
  types
    .split(' | ')
    .filter((type) => type !== 'null')
    .join(' | ');

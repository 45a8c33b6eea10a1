/** What the processes logged during a run: which messages, how often, and whether any of them flooded. */

export interface LogLine {
  readonly name: string;
  readonly line: string;
}

export interface LogGroup {
  readonly level: string;
  readonly message: string;
  readonly count: number;
  /** The most that one process wrote within `windowMs`. */
  readonly densest: number;
  readonly example: string;
}

/** Ten lines a second of one cause from one process, over a window long enough to forgive a burst. */
export const windowMs = 10_000;
export const mostPerWindow = 100;
const exampleLength = 600;

export function groupLogs(lines: readonly LogLine[]): LogGroup[] {
  const parsed = lines.map(({ name, line }) => ({ name, line, ...read(line) }));
  return [...Map.groupBy(parsed, ({ level, message }) => `${level} ${message}`).values()]
    .map((group) => ({
      level: group[0]?.level ?? '',
      message: group[0]?.message ?? '',
      count: group.length,
      densest: Math.max(
        ...Map.groupBy(group, ({ name }) => name)
          .values()
          .map(densestOf),
      ),
      example: `${group[0]?.name}: ${group[0]?.line.slice(0, exampleLength)}`,
    }))
    .sort((one, other) => other.count - one.count);
}

export const floods = (groups: readonly LogGroup[]): string[] =>
  groups
    .filter(({ densest }) => densest > mostPerWindow)
    .map(
      ({ message, densest, count }) =>
        `"${message}" was logged ${densest} times within ${windowMs / 1_000} s by one process, ${count} times in all`,
    );

function densestOf(lines: readonly { readonly atMs: number }[]): number {
  let most = 0;
  let first = 0;
  for (const [last, { atMs }] of lines.entries()) {
    while ((lines[first]?.atMs ?? atMs) < atMs - windowMs) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

/** A line that is no JSON came from somewhere else: Node, or a library. */
function read(line: string): { level: string; message: string; atMs: number } {
  try {
    const { level, msg, time, err } = JSON.parse(line) as {
      level?: string;
      msg?: string;
      time?: string;
      err?: { message?: string };
    };
    // One message may have several causes, and each is a group of its own. Numbers differ from line to line.
    const cause = err?.message === undefined ? '' : `: ${err.message.slice(0, 120).replace(/\d+/g, '#')}`;
    return { level: level ?? '', message: `${msg ?? ''}${cause}`, atMs: Date.parse(time ?? '') };
  } catch {
    return { level: 'none', message: line.slice(0, 80), atMs: 0 };
  }
}

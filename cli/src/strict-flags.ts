/**
 * Flags that lost their value, and flags given twice: commander takes the next flag as the value, and the last of two.
 * Both are typing errors that would send the wrong thing.
 */
import type { Command, Option } from 'commander';

/** Ends with a usage error; `--name=-value` says on purpose what `--name -value` says by mistake. */
export function checkFlags(root: Command, argv: readonly string[]): void {
  const valued = new Map(optionsOf(root).map((option) => [option.long ?? '', option]));
  const seen = new Set<string>();
  const end = argv.indexOf('--');
  for (const [index, token] of argv.slice(0, end < 0 ? argv.length : end).entries()) {
    const [name = '', inline] = token.split('=', 2);
    const option = valued.get(name);
    if (!option) continue;
    if (!option.variadic && seen.has(name)) root.error(`error: option '${name}' was given twice`);
    seen.add(name);
    const next = argv[index + 1];
    if (inline === undefined && next !== undefined && /^-./.test(next))
      root.error(`error: option '${option.flags}' misses its value; write ${name}=${next} if that is the value`);
  }
}

const optionsOf = (command: Command): Option[] => [
  ...command.options.filter((option) => option.required),
  ...command.commands.flatMap(optionsOf),
];

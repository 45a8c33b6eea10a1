/** The functions that took most of the time in the CPU profiles of a folder, by their own time. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const waiting = new Set(['(idle)', '(program)', '(root)']);

export function topFunctions(folder: string, count: number): string[] {
  const own = new Map<string, number>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'))) {
    const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile;
    const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
    for (const [index, id] of samples.entries()) {
      const name = names.get(id) ?? '';
      own.set(name, (own.get(name) ?? 0) + (timeDeltas[index] ?? 0));
    }
  }
  const busy = [...own].filter(([name]) => !waiting.has(name));
  const total = busy.reduce((sum, [, micros]) => sum + micros, 0);
  return busy
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([name, micros]) => `${((100 * micros) / total).toFixed(1).padStart(5)} %  ${name}`);
}

function nameOf({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  if (functionName.startsWith('(')) return functionName;
  const place = url.replace(/^file:\/\//, '').replace(/^.*?\/(?=node_modules|shared|producer|workers|cli)/, '');
  return `${functionName || 'anonymous'}${place === '' ? '' : `  ${place}:${lineNumber + 1}`}`;
}

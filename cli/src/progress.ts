/** A progress display on standard error: redrawn on a terminal, a line every few seconds elsewhere, silent with --json. */
import { createLogUpdate } from 'log-update';

export interface Progress {
  /** @param lines what to show now */
  show(lines: readonly string[]): void;
  /** Leaves the last picture standing. */
  end(): void;
}

const plainEveryMs = 5_000;
const barWidth = 32;

export function startProgress(isQuiet: boolean): Progress {
  if (isQuiet) return { show: () => undefined, end: () => undefined };
  if (process.stderr.isTTY) {
    const update = createLogUpdate(process.stderr);
    return { show: (lines) => update(lines.join('\n')), end: () => update.done() };
  }
  let shownAt = 0;
  return {
    show(lines) {
      if (Date.now() - shownAt < plainEveryMs) return;
      shownAt = Date.now();
      process.stderr.write(`${lines[0] ?? ''}\n`);
    },
    end: () => undefined,
  };
}

/** `[########--------] 50%  160/320` */
export function bar(done: number, total: number): string {
  const share = total === 0 ? 1 : done / total;
  const filled = Math.round(share * barWidth);
  return `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}] ${String(Math.floor(share * 100)).padStart(3)}%  ${done}/${total}`;
}

/** The table of all runs, and the evidence below it. */
import type { RunReport } from './run-scenario.ts';

const columns = [
  'scenario',
  'jobs',
  'faults',
  'lost',
  'doubled',
  'unknown',
  'superseded',
  'aborted',
  'calls',
  'paid twice',
  'highest/limit',
  'held beside',
  'recovery s',
  'takeover s',
  'all done s',
  'Redis peak',
  'log lines',
  'took s',
  'verdict',
] as const;

function cellsOf({ scenario, store, numbers, redisPeak, logLines, durationS, violations }: RunReport): string[] {
  const held = numbers.highestHeld > numbers.highest ? String(numbers.highestHeld) : '-';
  return [
    `${scenario} (${store})`,
    String(numbers.jobs),
    String(numbers.faults),
    String(numbers.lost),
    String(numbers.doubled),
    String(numbers.unknown),
    String(numbers.superseded),
    String(numbers.aborted),
    String(numbers.calls),
    String(numbers.paidTwice),
    `${numbers.highest}/${numbers.limit}`,
    held,
    String(numbers.worstRecoveryS ?? '-'),
    String(numbers.worstTakeoverS ?? '-'),
    String(numbers.doneAfterS ?? '-'),
    redisPeak ?? '-',
    String(logLines),
    String(durationS),
    violations.length === 0 ? 'holds' : `${violations.length} violations`,
  ];
}

export function renderTable(reports: readonly RunReport[], isMarkdown: boolean): string {
  const rows = [columns as readonly string[], ...reports.map(cellsOf)];
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const lines = rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)));
  if (!isMarkdown) return lines.map((row) => row.join('  ').trimEnd()).join('\n');
  const rule = widths.map((width) => '-'.repeat(width));
  return [lines[0] ?? [], rule, ...lines.slice(1)].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

export function renderEvidence(reports: readonly RunReport[]): string {
  return reports
    .flatMap(({ scenario, store, seed, remarks, violations, logTails, logGroups }) => {
      const title = `${scenario} (${store}), seed ${seed}`;
      const lines = [
        ...remarks.map((remark) => `  note: ${remark}`),
        ...violations.map(({ invariant, text }) => `  ${invariant}: ${text}`),
        ...logGroups.map(({ level, message, count }) => `  log: ${count} x ${level}: ${message}`),
        ...logTails.map((line) => `    ${line}`),
      ];
      return lines.length === 0 ? [] : [title, ...lines];
    })
    .join('\n');
}

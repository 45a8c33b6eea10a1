/** `waybill budgets`: what is spent, reserved and left of each budget. */
import type { BudgetJson, BudgetList, BudgetRuleJson } from '@waybill/producer/routes/admin/budget-json.ts';
import { Command } from 'commander';
import { type ConnectionFlags, connect, withConnection } from '../connection.ts';
import { print, printJson, table, visible } from '../output.ts';

interface BudgetFlags extends ConnectionFlags {
  readonly per?: string;
  readonly subject?: string;
  readonly window?: string;
  readonly limit?: string;
  readonly after?: string;
}

export function budgetsCommand(): Command {
  return withConnection(new Command('budgets').description('show what is spent, reserved and left of each budget'))
    .option('--per <subject>', 'only budgets per tenant, api_key, end_user, provider, model or metadata')
    .option('--subject <name>', 'only those of this tenant, API key, user, provider, model or value')
    .option('--window <which>', 'current or previous (current)')
    .option('--limit <n>', '1 to 100 (100)')
    .option('--after <key>', 'where the last page ended')
    .addHelpText(
      'after',
      '\nExamples:\n  waybill budgets\n  waybill budgets --per tenant --window previous\n  waybill budgets --json | jq ".data[] | {id, subject, remaining_usd}"',
    )
    .action(async (flags: BudgetFlags) => {
      const list = await connect(flags).client.budgets(filterOf(flags));
      if (flags.json) return printJson(list);
      show(list, flags.after === undefined && list.next_after === null);
    });
}

function filterOf({ per, subject, window, limit, after }: BudgetFlags): Record<string, string> {
  const given = Object.entries({ per, subject, window, limit, after });
  return Object.fromEntries(given.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

function show({ data, rules, next_after: nextAfter }: BudgetList, isAll: boolean): void {
  if (rules.length === 0) print('No such budget is configured.');
  if (data.length > 0) print(table(head, data.map(rowOf)));
  const unused = rules.filter((rule) => !data.some(({ id }) => id === rule.id));
  if (isAll) for (const rule of unused) print(`${rule.id}: nothing yet${scopeOf(rule)}`);
  for (const each of data.filter(({ unknown }) => unknown.count > 0))
    print(
      `Note: ${each.id} ${visible(each.subject)}: ${each.unknown.count} call(s) of unknown cost are taken for $${each.unknown.usd}.`,
    );
  if (nextAfter !== null) print(`\nMore: --after=${visible(nextAfter)}`);
}

const scopeOf = ({ limit_usd: limit, only }: BudgetRuleJson): string =>
  ` of $${limit}${only === null ? '' : ` for ${visible(only.slice(0, 5).join(', '))}`}`;

const head = ['budget', 'of', 'spent', 'spent $', 'reserved $', 'left $', 'limit $', 'until', 'told at', 'then'];

const rowOf = (budget: BudgetJson): string[] => [
  budget.id,
  visible(budget.tenant_id === null ? budget.subject : `${budget.tenant_id}/${budget.subject}`),
  shareBar(Number(budget.committed_usd) / Number(budget.limit_usd)),
  budget.committed_usd,
  budget.reserved_usd,
  budget.remaining_usd,
  budget.limit_usd,
  budget.window_end,
  budget.alerts.map(({ at }) => `${Math.round(at * 100)}%`).join(' '),
  budget.on_exceeded,
];

const barWidth = 16;

/** `[########--------]  50%`; more than all of it fills the bar, and is told by the number. */
function shareBar(share: number): string {
  const filled = Math.min(barWidth, Math.floor(share * barWidth));
  return `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}] ${String(Math.floor(share * 100)).padStart(3)}%`;
}

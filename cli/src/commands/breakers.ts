/** `waybill breakers list | open | close | reset`: which targets are left alone, and changing that by hand. */
import type { BreakerJson, ProviderBreakerJson } from '@waybill/producer/routes/admin/breaker-json.ts';
import type { BreakerAction, BreakerChange } from '@waybill/producer/routes/admin/breakers.ts';
import { Command } from 'commander';
import { type ConnectionFlags, connect, withConnection } from '../connection.ts';
import { print, printJson, say, table, visible } from '../output.ts';

interface ChangeFlags extends ConnectionFlags {
  readonly for?: string;
}

export function breakersCommand(): Command {
  return new Command('breakers')
    .description('see which targets are left alone after failures, and change that by hand')
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(
      changeCommand('open', 'make no calls to a target').option(
        '--for <duration>',
        'how long, such as 10m; without it until it is closed',
      ),
    )
    .addCommand(changeCommand('close', 'make calls again'))
    .addCommand(changeCommand('reset', 'close, and forget what was counted and what is usual'))
    .addHelpText(
      'after',
      '\nWithout a command it lists them.\n\nExamples:\n  waybill breakers\n  waybill breakers open openai/gpt-4.1-mini --for 10m\n  waybill breakers close "openai/*"',
    );
}

function listCommand(): Command {
  return withConnection(new Command('list').description('show the breakers of all targets'))
    .addHelpText('after', '\nExamples:\n  waybill breakers list\n  waybill breakers list --json | jq .providers')
    .action(async (flags: ConnectionFlags) => {
      const list = await connect(flags).client.breakers();
      if (flags.json) return printJson(list);
      if (list.data.length === 0) return print('No target is configured.');
      print(table(head, list.data.map(rowOf)));
      for (const line of list.providers.flatMap(providerLines)) print(line);
    });
}

function changeCommand(action: BreakerAction, description: string): Command {
  return withConnection(
    new Command(action).description(description).argument('<target>', 'provider/model, or "provider/*" for all of it'),
  )
    .addHelpText(
      'after',
      `\nExamples:\n  waybill breakers ${action} openai/gpt-4.1-mini${action === 'open' ? ' --for 10m' : ''}\n  waybill breakers ${action} "openai/*"`,
    )
    .action(async (target: string, flags: ChangeFlags) => {
      const changed = await connect(flags).client.changeBreaker(target, action, { for: flags.for });
      if (flags.json) return printJson(changed);
      print(changeText(target, changed));
      const found = changed.data.find((each) => each.target === target);
      if (action === 'open' && found?.is_configured === false) say('Note: no chain names this target.');
      const stillOpen = changed.providers.find(({ opened }) => opened !== null);
      if (action !== 'open' && stillOpen)
        say(`Note: all of ${stillOpen.provider} is still open: close "${stillOpen.provider}/*".`);
    });
}

const become: Readonly<Record<BreakerAction, string>> = { open: 'open', close: 'closed', reset: 'reset' };

/** A reset forgets also where the breaker was closed: it is no news of a state. */
export const changeText = (target: string, { action, changed }: Pick<BreakerChange, 'action' | 'changed'>): string =>
  changed.length === 0
    ? `${visible(target)}  nothing to change`
    : changed.map((each) => `${visible(each)}  ${become[action]}`).join('\n');

const head = ['target', 'state', 'why', 'until', 'failed', 'in a row', 'usual', 'reliability'];

const rowOf = ({ target, state, why, until, successes, counts, usual }: BreakerJson): string[] => [
  visible(target),
  state === 'half_open' ? `half_open (${successes} answered)` : state,
  why ?? '',
  state === 'open' ? (until ?? 'closed by hand') : '',
  `${counts.failed} of ${counts.calls}`,
  String(counts.consecutive_failures),
  usual.latency_ms === null ? 'unknown' : `${usual.latency_ms} ms`,
  usual.reliability === null ? 'unknown' : `${Math.round(usual.reliability * 1_000) / 10}%`,
];

function providerLines({ provider, state, opened }: ProviderBreakerJson): string[] {
  if (opened)
    return [
      `\nOpened by hand: all of ${provider}, ${opened.until === null ? 'until it is closed' : `until ${opened.until}`}`,
    ];
  return state === 'closed' ? [] : [`\nProvider ${provider}: ${state}`];
}

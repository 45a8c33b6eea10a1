/** `waybill providers check-drift`: what the providers list now against what is configured and believed. */
import { Command } from 'commander';
import { exitCode } from '../exit-codes.ts';
import { print, printJson, say, table, visible } from '../output.ts';
import { type AskOptions, askModels, troubleOf } from './ask-models.ts';
import {
  type Configured,
  isReadable,
  loadConfigured,
  type Question,
  questionsToList,
  shownAddress,
} from './configured.ts';
import { type FindingJson, findDrift } from './drift.ts';
import { interruptible, mapAtMost } from './interruptible.ts';
import { type AskFlags, counting, timeoutOf, withAskFlags } from './local-flags.ts';

interface NotChecked {
  readonly provider: string;
  readonly endpoint: string;
  readonly severity: 'error' | 'warning';
  readonly problem: string;
  readonly remedy: string;
}

const mostAtOnce = 8;

export function checkDriftCommand(): Command {
  return withAskFlags(
    new Command('check-drift')
      .description('compare the models, windows and prices providers list with what is configured and believed')
      .argument('[id]', 'one provider'),
  )
    .addHelpText(
      'after',
      '\nMade to run nightly: ends with 1 when a finding is an error, or a provider could not be asked. Bills nothing.\n\nExamples:\n  waybill providers check-drift\n  waybill providers check-drift --json | jq .findings',
    )
    .action(async (id: string | undefined, flags: AskFlags) => {
      const timeoutMs = timeoutOf(flags);
      const configured = await loadConfigured(id);
      const questions = configured.providers.flatMap(questionsToList);
      const progress = counting(flags, 'providers');
      let done = 0;
      const checked = await interruptible((signal) =>
        mapAtMost(questions, mostAtOnce, signal, async (question) => {
          const outcome = await check(question, configured, { timeoutMs, signal });
          done += 1;
          progress.tell(done, questions.length);
          return outcome;
        }),
      ).finally(progress.end);
      if (checked === null) return;
      const findings = checked.flatMap((each) => ('findings' in each ? each.findings : []));
      const notChecked = checked.flatMap((each) => ('findings' in each ? [] : [each]));
      const errors = [...findings, ...notChecked].filter(({ severity }) => severity === 'error').length;
      if (errors > 0) process.exitCode = exitCode.failed;
      if (flags.json)
        return printJson({
          object: 'drift',
          ok: errors === 0,
          checked: checked.length - notChecked.length,
          findings,
          not_checked: notChecked,
        });
      show(findings, notChecked, checked.length - notChecked.length);
    });
}

async function check(
  question: Question,
  { settings }: Configured,
  options: AskOptions,
): Promise<{ findings: FindingJson[] } | NotChecked> {
  const { provider } = question;
  const endpoint = shownAddress(question.endpoint);
  const place = { provider: provider.id, endpoint };
  if (!isReadable(question))
    return {
      ...place,
      severity: 'warning',
      problem: 'its secret is kept by the server',
      remedy: 'give a credential by variable or file to ask from here',
    };
  const { result } = await askModels(question, options);
  if (result.kind !== 'models')
    return { ...place, severity: 'error', ...troubleOf(result, question, options.timeoutMs) };
  return { findings: findDrift(provider, settings, endpoint, result, Date.now()) };
}

function show(findings: readonly FindingJson[], notChecked: readonly NotChecked[], checked: number): void {
  if (checked === 0) print('Nothing was checked.');
  else if (findings.length === 0) print(`No drift at ${checked} address${checked === 1 ? '' : 'es'}.`);
  else
    print(
      table(
        ['severity', 'target', 'finding', 'detail', 'remedy'],
        findings.map((each) => [
          each.severity,
          visible(`${each.provider}/${each.model}`),
          each.kind,
          visible(each.detail),
          visible(each.remedy),
        ]),
      ),
    );
  for (const { provider, endpoint, problem, remedy } of notChecked)
    say(`Not checked: ${provider} at ${visible(endpoint)}: ${problem}; ${remedy}`);
}

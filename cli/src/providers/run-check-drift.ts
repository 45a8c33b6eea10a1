/** The work of `waybill providers check-drift`: asks each provider for its list, and compares. */
import { exitCode } from '../exit-codes.ts';
import { print, printJson, say, table, visible } from '../output.ts';
import { type AskOptions, askModels, troubleOf } from './ask-models.ts';
import {
  type Configured,
  isReadable,
  loadConfigured,
  modelsInUse,
  type Question,
  questionsOf,
  questionsToList,
  shownAddress,
} from './configured.ts';
import { type FindingJson, findDrift } from './drift.ts';
import { interruptible, mapAtMost } from './interruptible.ts';
import { type AskFlags, counting, timeoutOf } from './local-flags.ts';
import { announceCalls } from './one-token-call.ts';
import { checkAnswer } from './recorded-answers.ts';

interface NotChecked {
  readonly provider: string;
  readonly endpoint: string;
  readonly severity: 'error' | 'warning';
  readonly problem: string;
  readonly remedy: string;
}

const mostAtOnce = 8;
const mostCallsAtOnce = 2;

export interface DriftFlags extends AskFlags {
  readonly recorded?: string;
}

export async function runCheckDrift(id: string | undefined, flags: DriftFlags): Promise<void> {
  const timeoutMs = timeoutOf(flags);
  const configured = await loadConfigured(id);
  const questions = configured.providers.flatMap(questionsToList);
  const progress = counting(flags, 'providers');
  let done = 0;
  const checked = await interruptible(async (signal) => {
    const lists = await mapAtMost(questions, mostAtOnce, signal, async (question) => {
      const outcome = await check(question, configured, { timeoutMs, signal });
      done += 1;
      progress.tell(done, questions.length);
      return outcome;
    });
    const answers = flags.recorded === undefined ? [] : await checkAnswers(flags.recorded, configured, signal);
    return { lists, answers };
  }).finally(progress.end);
  if (checked === null) return;
  const all = [...checked.lists, ...checked.answers];
  const findings = all.flatMap((each) => ('findings' in each ? each.findings : []));
  const notChecked = all.flatMap((each) => ('findings' in each ? [] : [each]));
  const asked = checked.lists.filter((each) => 'findings' in each).length;
  const errors = [...findings, ...notChecked].filter(({ severity }) => severity === 'error').length;
  if (errors > 0) process.exitCode = exitCode.failed;
  if (flags.json)
    return printJson({
      object: 'drift',
      ok: errors === 0,
      checked: asked,
      findings,
      not_checked: notChecked,
    });
  show(findings, notChecked, asked);
}

async function check(
  question: Question,
  { settings }: Configured,
  options: AskOptions,
): Promise<{ findings: readonly FindingJson[] } | NotChecked> {
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

/** One call per model in use, at the first address and with the first credential that can be read here. */
async function checkAnswers(
  folder: string,
  { settings, providers }: Configured,
  signal: AbortSignal,
): Promise<({ findings: readonly FindingJson[] } | NotChecked)[]> {
  const asked = providers.flatMap((provider) => {
    const question = questionsOf(provider).find(isReadable);
    return question === undefined ? [] : modelsInUse(settings, provider).map((model) => ({ question, model }));
  });
  announceCalls(asked.length, true);
  return mapAtMost(asked, mostCallsAtOnce, signal, async ({ question, model }) => {
    const outcome = await checkAnswer(question, model, folder, signal);
    const endpoint = shownAddress(question.endpoint);
    if (outcome.kind === 'compared') {
      if (outcome.isNew) say(`Recorded the answer of ${visible(`${question.provider.id}/${model}`)}`);
      return { findings: outcome.findings.map((finding) => ({ ...finding, endpoint })) };
    }
    return {
      provider: question.provider.id,
      endpoint,
      severity: 'error' as const,
      problem: `${model}: ${outcome.problem}`,
      remedy: outcome.remedy,
    };
  });
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
    say(`Not checked: ${provider} at ${visible(endpoint)}: ${visible(problem)}; ${visible(remedy)}`);
}

/** The work of `waybill providers models`: asks each provider for its list, and adds what is configured and known. */
import type { ListedModel } from '@waybill/shared/providers/listing/listed-model.ts';
import { normaliseModel } from '@waybill/shared/providers/listing/listed-model.ts';
import { presetOf } from '@waybill/shared/providers/presets.ts';
import { exitCode } from '../exit-codes.ts';
import { print, printJson, say, table, visible } from '../output.ts';
import { type AskOptions, askModels, troubleOf } from './ask-models.ts';
import { isReadable, loadConfigured, modelsInUse, type Question, questionsToList, shownAddress } from './configured.ts';
import { interruptible, mapAtMost } from './interruptible.ts';
import { type AskFlags, counting, timeoutOf } from './local-flags.ts';
import { billedBy, knownWindow, usdText } from './model-facts.ts';

interface ModelJson {
  readonly provider: string;
  readonly endpoint: string;
  readonly id: string;
  readonly in_use: boolean;
  /** In tokens; null: not known. */
  readonly context_window: number | null;
  readonly max_output: number | null;
  /** US dollars; null: not known. */
  readonly input_usd_per_million: string | null;
  readonly output_usd_per_million: string | null;
  readonly lifecycle: string | null;
  readonly ends_at: string | null;
  readonly status: string | null;
}

interface NotListed {
  readonly provider: string;
  readonly endpoint: string;
  /** Nothing is wrong: it has no list, or its secret is the server's. */
  readonly status: 'failed' | 'skipped';
  readonly problem: string;
  readonly remedy: string;
}

const mostAtOnce = 8;

export async function runModels(id: string | undefined, flags: AskFlags): Promise<void> {
  const timeoutMs = timeoutOf(flags);
  const { settings, providers } = await loadConfigured(id);
  const questions = providers.flatMap(questionsToList);
  const progress = counting(flags, 'providers');
  let done = 0;
  const answers = await interruptible((signal) =>
    mapAtMost(questions, mostAtOnce, signal, async (question) => {
      const listed = await list(question, modelsInUse(settings, question.provider), { timeoutMs, signal });
      done += 1;
      progress.tell(done, questions.length);
      return listed;
    }),
  ).finally(progress.end);
  if (answers === null) return;
  const data = answers.flatMap((each) => ('models' in each ? each.models : []));
  const notListed = answers.flatMap((each) => ('models' in each ? [] : [each]));
  if (notListed.some(({ status }) => status === 'failed')) process.exitCode = exitCode.failed;
  if (flags.json) return printJson({ object: 'list', data, not_listed: notListed });
  show(data, notListed);
}

async function list(
  question: Question,
  used: readonly string[],
  options: AskOptions,
): Promise<{ models: ModelJson[] } | NotListed> {
  const { provider } = question;
  const place = { provider: provider.id, endpoint: shownAddress(question.endpoint) };
  const listing = presetOf(provider.preset)?.modelListing ?? 'none';
  if (listing === 'none')
    return {
      ...place,
      status: 'skipped',
      problem: 'it has no list of what can be called',
      remedy: 'name its models in the configuration',
    };
  if (!isReadable(question))
    return {
      ...place,
      status: 'skipped',
      problem: 'its secret is kept by the server',
      remedy: 'give a credential by variable or file to ask from here',
    };
  const { result } = await askModels(question, options);
  if (result.kind !== 'models')
    return { ...place, status: 'failed', ...troubleOf(result, question, options.timeoutMs) };
  const nowMs = Date.now();
  return {
    models: result.models.map((model) => {
      const name = normaliseModel(listing, model.id);
      return { ...place, ...factsOf(question, model, name, nowMs), in_use: used.includes(name) };
    }),
  };
}

function factsOf({ provider }: Question, model: ListedModel, name: string, nowMs: number) {
  const billed = billedBy(provider, name, nowMs);
  const listed = provider.models[name]?.price ? billed : (model.price ?? billed);
  const price = billed === undefined ? { input: 0, output: 0 } : (listed ?? null);
  return {
    id: name,
    context_window: provider.models[name]?.contextWindow ?? model.contextWindow ?? knownWindow(provider, name),
    max_output: model.maxOutput,
    input_usd_per_million: price === null ? null : usdText(price.input),
    output_usd_per_million: price === null ? null : usdText(price.output),
    lifecycle: model.lifecycle,
    ends_at: model.endsAtMs === null ? null : new Date(model.endsAtMs).toISOString(),
    status: model.status,
  };
}

function show(models: readonly ModelJson[], notListed: readonly NotListed[]): void {
  if (models.length > 0)
    print(
      table(
        ['provider', 'model', 'in use', 'context', 'in $/M', 'out $/M', ''],
        models.map((each) => [
          each.provider,
          visible(each.id),
          each.in_use ? 'yes' : '',
          each.context_window ?? 'unknown',
          each.input_usd_per_million ?? 'unknown',
          each.output_usd_per_million ?? 'unknown',
          [
            each.status,
            each.lifecycle === 'active' ? null : each.lifecycle,
            each.ends_at && `ends ${each.ends_at.slice(0, 10)}`,
          ]
            .filter((word) => word)
            .join(', '),
        ]),
      ),
    );
  else print('No models.');
  for (const { provider, endpoint, status, problem, remedy } of notListed)
    say(`${status === 'failed' ? 'Failed' : 'Skipped'}: ${provider} at ${visible(endpoint)}: ${problem}; ${remedy}`);
}

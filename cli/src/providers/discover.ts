/** What this machine has: credentials in the environment, local servers that answer, and the models of each. */
import type { Environment } from '@waybill/shared/config/environment.ts';
import { discoverSettings, environmentOf, type Probe } from '@waybill/shared/config/load.ts';
import type { ProviderSettings, Settings } from '@waybill/shared/config/settings.ts';
import { defaultModels } from '@waybill/shared/providers/catalogue.ts';
import type { ListResult } from '@waybill/shared/providers/listing/list-models.ts';
import { type ListedModel, normaliseModel } from '@waybill/shared/providers/listing/listed-model.ts';
import { type Preset, presetOf } from '@waybill/shared/providers/presets.ts';
import { asConfigProblem } from '../config-problem.ts';
import { type AskOptions, askModels, troubleOf } from './ask-models.ts';
import { type FoundProvider, isSafeModel } from './configuration-text.ts';
import { type Question, questionsToList } from './configured.ts';
import { mapAtMost } from './interruptible.ts';

export interface Discovered extends FoundProvider {
  /** Where it was asked. */
  readonly asked: string;
  readonly models: readonly string[];
  readonly remedy: string | null;
}

export interface Discovery {
  readonly providers: readonly Discovered[];
  readonly notes: readonly string[];
}

const mostAtOnce = 8;

/** @param onProgress is told how many were asked, and of how many */
export async function discover(
  env: NodeJS.ProcessEnv,
  probe: Probe,
  options: AskOptions,
  onProgress: (done: number, total: number) => void,
): Promise<Discovery> {
  const environment = environmentOf(env);
  const settings: Settings = await discoverSettings(environment, probe).catch(asConfigProblem);
  const all = Object.values(settings.providers).toSorted((a, b) => Number(b.isLocal) - Number(a.isLocal));
  let done = 0;
  onProgress(0, all.length);
  const providers = await mapAtMost(all, mostAtOnce, options.signal, async (provider) => {
    const found = await look(provider, environment, options);
    done += 1;
    onProgress(done, all.length);
    return found;
  });
  return { providers: providers.flat(), notes: settings.notes };
}

async function look(provider: ProviderSettings, environment: Environment, options: AskOptions): Promise<Discovered[]> {
  const preset = presetOf(provider.preset);
  const [question] = questionsToList(provider);
  if (!preset || !question) return [];
  const { result } = await askModels(question, options);
  const { models, problem, remedy } = said(result, question, preset, options.timeoutMs);
  return [
    {
      id: provider.id,
      preset: preset.id,
      endpoint: question.endpoint === preset.endpoint ? null : question.endpoint,
      asked: question.endpoint,
      variable: question.credential?.name ?? null,
      models: models.map(({ id }) => normaliseModel(preset.modelListing, id)),
      model: chooseModel(provider, preset, models, environment),
      problem,
      remedy,
    },
  ];
}

function said(result: ListResult, question: Question, preset: Preset, timeoutMs: number) {
  if (result.kind === 'models')
    return {
      models: result.models.filter(({ id }) => isSafeModel(normaliseModel(preset.modelListing, id))),
      problem: null,
      remedy: null,
    };
  return { models: [], ...troubleOf(result, question, timeoutMs) };
}

/** As the environment names it, else the usual one where it is listed, else the first that writes text. */
function chooseModel(
  provider: ProviderSettings,
  preset: Preset,
  models: readonly ListedModel[],
  environment: Environment,
): string | null {
  const named = environment.models[preset.id];
  if (named !== undefined && isSafeModel(named)) return named;
  const names = models
    .filter(({ id, isChat }) => isChat !== false && !/embed/i.test(id))
    .map(({ id }) => normaliseModel(preset.modelListing, id));
  const usual = [...Object.keys(provider.models), defaultModels[preset.id]].filter(
    (name): name is string => typeof name === 'string' && isSafeModel(name),
  );
  return usual.find((name) => names.includes(name)) ?? (models.length === 0 ? usual[0] : names[0]) ?? null;
}

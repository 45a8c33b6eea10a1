/** Whether a provider can be used as configured: it answers, takes the credential, and has the models that are in use. */
import { dialectOf } from '@waybill/shared/providers/dialects.ts';
import { compareDrift } from '@waybill/shared/providers/listing/compare-drift.ts';
import type { ListedModel } from '@waybill/shared/providers/listing/listed-model.ts';
import { type Preset, presetOf } from '@waybill/shared/providers/presets.ts';
import { type ProbeResult, probeServer } from '@waybill/shared/providers/probe-server.ts';
import { type AskOptions, askModels, ownHeaders, remedyOf, type Trouble, troubleOf } from './ask-models.ts';
import { isReadable, type Question, shownAddress } from './configured.ts';
import { nameAtServer } from './model-facts.ts';

export interface TestResult {
  readonly provider: string;
  readonly endpoint: string;
  /** Its name; null: the server asks for none. */
  readonly credential: string | null;
  readonly status: 'ok' | 'failed' | 'skipped';
  readonly reachable: boolean | null;
  readonly credential_accepted: boolean | null;
  readonly models: readonly string[];
  /** Of those in use, what its list lacks; null: it has no list that says. */
  readonly models_missing: readonly string[] | null;
  readonly latency_ms: number | null;
  readonly problem: string | null;
  readonly remedy: string | null;
}

/** @param models those in use */
export async function testProvider(
  question: Question,
  models: readonly string[],
  options: AskOptions,
): Promise<TestResult> {
  const base = resultOf(question, models);
  const preset = presetOf(question.provider.preset);
  if (!isReadable(question)) return skipped(base, 'its secret is kept by the server', 'ask "waybill providers list"');
  if (!preset || (preset.healthPath === null && preset.modelListing === 'none'))
    return skipped(base, 'nothing can be asked of it but a call', 'add --call, which may be billed');
  const health = preset.healthPath === null ? null : await askHealth(question, preset, options);
  if (health !== null && health.kind !== 'success') return judgeHealth(base, health, question, options.timeoutMs);
  const { result, latencyMs } = await askModels(question, options);
  const latency = health?.latencyMs ?? latencyMs;
  if (result.kind !== 'models') {
    const isAuth = result.kind === 'refused' && result.failure === 'auth';
    return failed(
      {
        ...base,
        reachable: result.kind !== 'unreachable',
        credential_accepted: isAuth ? false : null,
        latency_ms: result.kind === 'unreachable' ? null : latency,
      },
      troubleOf(result, question, options.timeoutMs),
    );
  }
  const missing = result.isComplete ? missingOf(question, preset, models, result.models) : null;
  const passed: TestResult = {
    ...base,
    status: 'ok',
    reachable: true,
    credential_accepted: question.credential === null ? null : true,
    models_missing: missing,
    latency_ms: latency,
  };
  if (missing === null || missing.length === 0) return passed;
  return failed(passed, {
    problem: `it does not list ${missing.join(', ')}`,
    remedy: `name a model that "waybill providers models ${question.provider.id}" shows`,
  });
}

const resultOf = ({ provider, endpoint, credential }: Question, models: readonly string[]): TestResult => ({
  provider: provider.id,
  endpoint: shownAddress(endpoint),
  credential: credential?.name ?? null,
  status: 'failed',
  reachable: null,
  credential_accepted: null,
  models,
  models_missing: null,
  latency_ms: null,
  problem: null,
  remedy: null,
});

const failed = (result: TestResult, trouble: Trouble): TestResult => ({ ...result, status: 'failed', ...trouble });
const skipped = (result: TestResult, problem: string, remedy: string): TestResult => ({
  ...result,
  status: 'skipped',
  problem,
  remedy,
});

const askHealth = (question: Question, preset: Preset, { signal, timeoutMs }: AskOptions): Promise<ProbeResult> =>
  probeServer({
    // Its list is asked for itself, so that what it says is not lost.
    preset: { ...preset, isLocal: false },
    dialect: dialectOf(question.provider.dialect),
    endpoint: question.endpoint,
    credential: question.credential?.secret ?? null,
    apiVersion: question.provider.apiVersion,
    headers: ownHeaders(question),
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });

function judgeHealth(
  base: TestResult,
  health: Exclude<ProbeResult, { kind: 'success' }>,
  question: Question,
  timeoutMs: number,
): TestResult {
  const { latencyMs } = health;
  if (health.kind === 'loading')
    return failed(
      { ...base, reachable: true, latency_ms: latencyMs },
      { problem: 'it is starting, or loading a model', remedy: remedyOf('model_loading', question) },
    );
  const isAnswer = health.failure.startsWith('HTTP ');
  const kind = health.failure.replace(/^HTTP \d+ /, '');
  return failed(
    {
      ...base,
      reachable: isAnswer,
      credential_accepted: health.kind === 'refused' && kind === 'auth' ? false : null,
      latency_ms: isAnswer ? latencyMs : null,
    },
    isAnswer
      ? { problem: health.failure.replace(/^(HTTP \d+) (.*)$/, '$1 ($2)'), remedy: remedyOf(kind, question) }
      : troubleOf({ kind: 'unreachable', code: codeOf(health.failure) }, question, timeoutMs),
  );
}

/** `unreachable (ECONNREFUSED)`. An answer that did not come in time has no code. */
const codeOf = (failure: string): string => /\(([A-Z][A-Z0-9_]+)\)$/.exec(failure)?.[1] ?? 'aborted';

function missingOf(
  { provider }: Question,
  { modelListing: listing }: Preset,
  models: readonly string[],
  listed: readonly ListedModel[],
): string[] {
  const findings = compareDrift({
    listing,
    listed: { models: listed, isComplete: true },
    configured: models.map((model) => ({ model: nameAtServer(provider, model), contextWindow: null })),
    catalogue: { defaultModel: null, contextWindowOf: () => null },
    nowMs: Date.now(),
  });
  const gone = new Set(findings.filter(({ kind }) => kind === 'model_not_listed').map(({ model }) => model));
  return models.filter((model) => gone.has(nameAtServer(provider, model)));
}

/** The work of `waybill providers test`: asks with each credential at each address, and calls where that is wanted. */
import { exitCode } from '../exit-codes.ts';
import { print, printJson, say, table, visible } from '../output.ts';
import {
  type Configured,
  isReadable,
  loadConfigured,
  modelsInUse,
  questionsOf,
  questionsToList,
} from './configured.ts';
import { interruptible, mapAtMost } from './interruptible.ts';
import { type AskFlags, counting, timeoutOf } from './local-flags.ts';
import { announceCalls, type CallResult, callOnce } from './one-token-call.ts';
import { type TestResult, testProvider } from './test-provider.ts';

export interface TestFlags extends AskFlags {
  readonly call?: boolean;
}

const mostAtOnce = 8;
const mostCallsAtOnce = 2;

export async function runTest(id: string | undefined, flags: TestFlags): Promise<void> {
  const timeoutMs = timeoutOf(flags);
  const configured = await loadConfigured(id);
  const progress = counting(flags, 'questions');
  const outcome = await interruptible(async (signal) => {
    const results = await testAll(configured, timeoutMs, signal, progress.tell);
    return { results, calls: flags.call ? await callAll(configured, signal) : [] };
  }).finally(progress.end);
  if (outcome === null) return;
  const { results, calls } = outcome;
  const isFailed = [...results, ...calls].some(({ status }) => status === 'failed');
  if (isFailed) process.exitCode = exitCode.failed;
  if (flags.json) return printJson({ object: 'test', ok: !isFailed, data: results, calls });
  show(results, calls);
}

async function testAll(
  { settings, providers }: Configured,
  timeoutMs: number,
  signal: AbortSignal,
  tell: (done: number, total: number) => void,
): Promise<TestResult[]> {
  const questions = providers.flatMap(questionsOf);
  let done = 0;
  return mapAtMost(questions, mostAtOnce, signal, async (question) => {
    const result = await testProvider(question, modelsInUse(settings, question.provider), { timeoutMs, signal });
    done += 1;
    tell(done, questions.length);
    return result;
  });
}

/** One per provider: at its first address, with the first credential that can be read here. */
async function callAll({ settings, providers }: Configured, signal: AbortSignal): Promise<CallResult[]> {
  const callable = providers.flatMap((provider) => {
    const question = questionsToList(provider).find(isReadable);
    const [model] = modelsInUse(settings, provider);
    return question && model !== undefined ? [{ question, model }] : [];
  });
  announceCalls(callable.length);
  return mapAtMost(callable, mostCallsAtOnce, signal, ({ question, model }) => callOnce(question, model, signal));
}

const yesNo = (value: boolean | null): string => (value === null ? 'unknown' : value ? 'yes' : 'no');

function show(results: readonly TestResult[], calls: readonly CallResult[]): void {
  print(
    table(
      ['provider', 'address', 'credential', 'reachable', 'accepted', 'models', 'ms', 'result'],
      results.map((each) => [
        each.provider,
        visible(each.endpoint),
        visible(each.credential ?? 'none'),
        yesNo(each.reachable),
        each.credential === null ? '' : yesNo(each.credential_accepted),
        visible(modelsText(each)),
        each.latency_ms ?? '',
        each.status,
      ]),
    ),
  );
  for (const each of results)
    if (each.problem !== null)
      say(
        `${each.status === 'failed' ? 'Failed' : 'Skipped'}: ${each.provider}${each.credential === null ? '' : ` with ${visible(each.credential)}`}: ${visible(each.problem)}; ${each.remedy}`,
      );
  if (calls.length === 0) return;
  print(
    `\n${table(
      ['call to', 'credential', 'ms', 'tokens in', 'out', 'result'],
      calls.map((each) => [
        visible(`${each.provider}/${each.model}`),
        visible(each.credential ?? 'none'),
        each.latency_ms,
        each.input_tokens ?? 'unknown',
        each.output_tokens ?? 'unknown',
        visible(each.problem ?? 'ok'),
      ]),
    )}`,
  );
}

function modelsText({ models, models_missing: missing }: TestResult): string {
  if (models.length === 0) return 'none named';
  if (missing === null) return 'unknown';
  return missing.length === 0 ? 'listed' : `missing ${missing.join(', ')}`;
}

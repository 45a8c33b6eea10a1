/**
 * The chaos suite: a fleet, a load, faults, and one check of what must hold.
 *
 *     node test/chaos/main.ts --help
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type Store, stores } from './arena.ts';
import { renderEvidence, renderTable } from './report.ts';
import { type RunReport, runScenario } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import { scenarios } from './scenarios.ts';

const help = () => `Usage: node test/chaos/main.ts [names...] [options]

Runs scenarios one after the other, each on servers of its own, and checks after each what must hold.
Without names it runs all of them, on every store they are for.

Options:
  --seed <n>     the same seed gives the same faults (random unless given; printed first)
  --jobs <n>     jobs per scenario, instead of each one's own number
  --store <s>    only redis, postgres or embedded
  --short        the short form of each
  --json         one JSON line per run, nothing else on stdout
  --markdown     the table as Markdown
  --help         this

Examples:
  node test/chaos/main.ts worker-kill --jobs 500 --store redis
  node test/chaos/main.ts redis-flushall redis-kill --seed 42
  node test/chaos/main.ts --short --markdown

Scenarios:
${scenarios.map(({ name, about, stores: own }) => `  ${name.padEnd(24)} ${about} (${own.join(', ')})`).join('\n')}`;

const readArguments = () =>
  parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string' },
      jobs: { type: 'string' },
      store: { type: 'string' },
      short: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });

/** The shell's way of saying that it was asked wrongly. */
function readArgumentsOrEnd(): ReturnType<typeof readArguments> {
  try {
    return readArguments();
  } catch (error) {
    process.stderr.write(`${(error as Error).message.split('. ', 1)[0]}; --help lists what there is\n`);
    process.exit(2);
  }
}

const { values, positionals } = readArgumentsOrEnd();

/** A run is cut off after this, whatever it waits for. */
const runLimitMs = 60 * 60_000;

const say = (line: string) => void process.stderr.write(`${line}\n`);

function wholeNumber(text: string, flag: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${flag} is a whole number from 1, not "${text}"`);
  return value;
}

function chosen(): { scenario: Scenario; store: Store }[] {
  const unknown = positionals.filter((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown.length > 0) throw new Error(`no scenario is called ${unknown.join(', ')}; --help lists them`);
  if (values.store !== undefined && !stores.includes(values.store as Store))
    throw new Error(`no store is called ${values.store}: ${stores.join(', ')}`);
  return scenarios
    .filter(({ name }) => positionals.length === 0 || positionals.includes(name))
    .flatMap((scenario) => scenario.stores.map((store) => ({ scenario, store })))
    .filter(({ store }) => values.store === undefined || store === values.store);
}

async function runAll(): Promise<number> {
  const runs = chosen();
  const seed = values.seed === undefined ? randomInt(1, 1_000_000) : wholeNumber(values.seed, '--seed');
  const jobs = values.jobs === undefined ? null : wholeNumber(values.jobs, '--jobs');
  say(`seed ${seed}`);
  const stop = new AbortController();
  const onSignal = () => stop.abort(new Error('stopped by a signal'));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, onSignal);
  const reports: RunReport[] = [];
  let isCutOff = false;
  for (const [i, { scenario, store }] of runs.entries()) {
    const title = `${scenario.name} (${store})`;
    const why = scenario.skip?.() ?? null;
    if (why !== null) {
      say(`[${i + 1}/${runs.length}] ${title} is left out: ${why}`);
      continue;
    }
    say(`[${i + 1}/${runs.length}] ${title}`);
    const startedAt = performance.now();
    const tell = (line: string) =>
      say(`  ${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s  ${line}`);
    try {
      const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(runLimitMs)]);
      const report = await runScenario(scenario, store, { seed, isShort: values.short, jobs, signal, tell });
      reports.push(report);
      if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
      for (const { invariant, text } of report.violations) tell(`${invariant}: ${text}`);
    } catch (error) {
      isCutOff = true;
      say(`  ${title} did not come to its end: ${error instanceof Error ? error.stack : String(error)}`);
      if (stop.signal.aborted) break;
    }
  }
  if (!values.json && reports.length > 0) {
    process.stdout.write(`${renderTable(reports, values.markdown)}\n`);
    const evidence = renderEvidence(reports);
    if (evidence !== '') process.stdout.write(`\n${evidence}\n`);
  }
  return isCutOff || reports.some(({ violations }) => violations.length > 0) ? 1 : 0;
}

if (values.help) process.stdout.write(`${help()}\n`);
else
  process.exitCode = await runAll().catch((error: unknown) => {
    say(error instanceof Error ? error.message : String(error));
    return 2;
  });

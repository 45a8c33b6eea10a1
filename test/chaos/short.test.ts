/**
 * The chaos suite in small, for every run of the tests: workers, API and both servers die, nothing is lost, nothing is
 * doubled. The long form is `node test/chaos/main.ts`.
 */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from './arena.ts';
import { renderEvidence } from './report.ts';
import { type RunReport, runScenario } from './run-scenario.ts';
import { scenarios } from './scenarios.ts';

/** `WAYBILL_CHAOS_SEED=n` plays the faults of an earlier run again. */
const seed = Number(process.env.WAYBILL_CHAOS_SEED ?? randomInt(1, 1_000_000));
/** For the last of three runs in a row. */
const limitMs = 180_000;

const stop = new AbortController();
beforeAll(() => console.info(`chaos seed ${seed}`));
// A run that is cut off by the time limit tears itself down; what outlives even that, its guard ends.
afterAll(async () => {
  stop.abort(new Error('the tests are over'));
  await Promise.allSettled(runs);
});

const runs: Promise<RunReport>[] = [];

async function play(name: string, store: Store): Promise<RunReport> {
  const scenario = scenarios.find((each) => each.name === name);
  if (!scenario) throw new Error(`no scenario is called ${name}`);
  const run = runScenario(scenario, store, {
    seed,
    isShort: true,
    jobs: null,
    signal: stop.signal,
    tell: () => undefined,
  });
  runs.push(run);
  const report = await run;
  const { numbers, sources, durationS } = report;
  console.info(`${name} on ${sources.join(' and ')} took ${durationS} s: ${JSON.stringify(numbers)}`);
  expect(report.violations, `seed ${seed}\n${renderEvidence([report])}`).toEqual([]);
  return report;
}

describe('nothing accepted is lost or doubled', { timeout: limitMs }, () => {
  // Two at a time: most of its time the longest one waits for leases and permits to end.
  let workersKilled: Promise<RunReport>;
  let postgresKilled: Promise<RunReport>;
  let redisWiped: Promise<RunReport>;
  let apiKilled: Promise<RunReport>;
  beforeAll(() => {
    const after = (before: Promise<unknown>, name: string, store: Store) =>
      before.then(
        () => play(name, store),
        () => play(name, store),
      );
    workersKilled = play('worker-kill', 'redis');
    postgresKilled = play('postgres-kill', 'postgres');
    redisWiped = after(postgresKilled, 'redis-flushall', 'redis');
    apiKilled = after(redisWiped, 'api-kill', 'postgres');
    for (const each of [workersKilled, postgresKilled, redisWiped, apiKilled]) each.catch(() => undefined);
  });

  it('when workers are killed', async () => {
    const { numbers } = await workersKilled;
    expect(numbers).toMatchObject({ lost: 0, doubled: 0, faults: 6 });
    expect(numbers.unknown).toBeGreaterThan(0);
  });

  it('when PostgreSQL is killed', async () => {
    expect((await postgresKilled).numbers).toMatchObject({ lost: 0, doubled: 0, faults: 1 });
  });

  it('when Redis loses everything', async () => {
    expect((await redisWiped).numbers).toMatchObject({ lost: 0, doubled: 0, faults: 1 });
  });

  it('when the API is killed and its clients ask again', async () => {
    expect((await apiKilled).numbers).toMatchObject({ lost: 0, doubled: 0 });
  });
});

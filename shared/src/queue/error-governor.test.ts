import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createErrorGovernor, createErrorPause } from './error-governor.ts';

test('an error storm becomes one line a second per queue and cause, with a count', () => {
  const told: [string, string, number][] = [];
  let now = 0;
  const report = createErrorGovernor(
    (error, queue, suppressed) => told.push([queue, error.message, suppressed]),
    () => now,
  );
  for (let n = 0; n < 1_000; n += 1) report(new Error('disk full'), 'openai');
  report(new Error('disk full'), 'anthropic');
  report(new Error('other'), 'openai');
  now = 1_000;
  report(new Error('disk full'), 'openai');
  expect(told).toEqual([
    ['openai', 'disk full', 0],
    ['anthropic', 'disk full', 0],
    ['openai', 'other', 0],
    ['openai', 'disk full', 999],
  ]);
});

test('ever new messages do not grow the memory', () => {
  let told = 0;
  const report = createErrorGovernor(() => {
    told += 1;
  });
  for (let n = 0; n < 1_000; n += 1) report(new Error(`error ${n}`), 'openai');
  expect(told).toBe(1_000);
});

describe('a loop that does nothing but fail', () => {
  /** A worker whose pauses and their lengths are noted; time passes only here. */
  function startLoop(random = 1) {
    const said: string[] = [];
    const faults: Error[] = [];
    const answers = { pause: () => Promise.resolve(), resume: () => Promise.resolve() };
    const worker = {
      pause: () => {
        said.push('pause');
        return answers.pause();
      },
      resume: () => {
        said.push('resume');
        return answers.resume();
      },
      onFault: (error: Error) => void faults.push(error),
    };
    const governor = createErrorPause(
      worker,
      () => Date.now(),
      () => random,
    );
    const fail = (count: number) => {
      for (let n = 0; n < count; n += 1) governor.count();
    };
    return { said, faults, answers, fail, stop: () => governor.stop() };
  }

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('is paused for a second after more than twenty errors in one', () => {
    const loop = startLoop();
    loop.fail(20);
    expect(loop.said).toEqual([]);
    loop.fail(1);
    expect(loop.said).toEqual(['pause']);
    loop.fail(100);
    vi.advanceTimersByTime(999);
    expect(loop.said).toEqual(['pause']);
    vi.advanceTimersByTime(1);
    expect(loop.said).toEqual(['pause', 'resume']);
    loop.stop();
  });

  test('is left alone when its errors are spread out', () => {
    const loop = startLoop();
    for (let n = 0; n < 100; n += 1) {
      loop.fail(2);
      vi.advanceTimersByTime(100);
    }
    expect(loop.said).toEqual([]);
  });

  test('is paused for longer each time, up to ten seconds, and briefly again after a calm minute', () => {
    const loop = startLoop();
    const lengths: number[] = [];
    const pauseOnce = () => {
      loop.fail(21);
      const startedAt = Date.now();
      const resumes = () => loop.said.filter((each) => each === 'resume').length;
      const before = resumes();
      while (resumes() === before) vi.advanceTimersByTime(500);
      lengths.push(Date.now() - startedAt);
    };
    for (let n = 0; n < 7; n += 1) pauseOnce();
    vi.advanceTimersByTime(60_001);
    pauseOnce();
    expect(lengths).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000, 1_000]);
    loop.stop();
  });

  test('of many processes does not go on in all of them at once: half of the pause is left to chance', () => {
    const loop = startLoop(0);
    loop.fail(21);
    vi.advanceTimersByTime(500);
    expect(loop.said).toEqual(['pause', 'resume']);
    loop.stop();
  });

  test('is not resumed once it was stopped', () => {
    const loop = startLoop();
    loop.fail(21);
    loop.stop();
    vi.advanceTimersByTime(60_000);
    loop.fail(100);
    expect(loop.said).toEqual(['pause']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('that cannot be paused or resumed is reported', async () => {
    const loop = startLoop();
    loop.answers.pause = () => Promise.reject(new Error('no pause'));
    loop.answers.resume = () => Promise.reject(new Error('no resume'));
    loop.fail(21);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(loop.faults.map(({ message }) => message)).toEqual(['no pause', 'no resume']);
    loop.stop();
  });
});

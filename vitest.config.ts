import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { createDice } from './test/chaos/dice.ts';

/** Shuffled, but the whole-system tests begin first, and the longest of them before all: none is left over at the end. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const dice = createDice(this.ctx.config.sequence.seed, 'files');
    const rank = ({ moduleId }: TestSpecification) => {
      if (moduleId.endsWith('/test/chaos/short.test.ts')) return 0;
      return moduleId.includes('/test/') ? 1 : 2;
    };
    return files
      .map((file) => ({ file, place: rank(file) + dice.next() }))
      .sort((one, other) => one.place - other.place)
      .map(({ file }) => file);
  }
}

/** All of them run in parallel and shuffled. */
export default defineConfig({
  test: {
    projects: [
      // Unit tests stand beside their files; what they load is loaded once for all of a worker's files.
      {
        extends: true,
        test: { name: 'unit', include: ['{shared,producer,workers,dashboards,cli}/src/**/*.test.ts'], isolate: false },
      },
      // Whole-system tests: a process of their own for each file.
      { extends: true, test: { name: 'system', include: ['test/**/*.test.ts'] } },
    ],
    sequence: { shuffle: true, sequencer: LongFirst },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two for each of two cores: whole-system tests wait for leases and limits as long as they compute.
    maxWorkers: 4,
    coverage: {
      provider: 'v8',
      include: ['{shared,producer,workers,dashboards,cli}/src/**/*.ts'],
      reporter: ['text-summary', 'json-summary'],
      thresholds: {
        lines: 80,
        'shared/src/routing/**.ts': { statements: 100, branches: 100, functions: 100, lines: 100 },
        'shared/src/pricing/**.ts': { statements: 100, branches: 100, functions: 100, lines: 100 },
        'shared/src/providers/*/{errors,error-*,model-rules}.ts': {
          statements: 100,
          branches: 100,
          functions: 100,
          lines: 100,
        },
        'shared/src/providers/openai/errors/*.ts': { statements: 100, branches: 100, functions: 100, lines: 100 },
        'shared/src/providers/{error-body,retry-after}.ts': {
          statements: 100,
          branches: 100,
          functions: 100,
          lines: 100,
        },
        'shared/src/domain/failure.ts': { statements: 100, branches: 100, functions: 100, lines: 100 },
      },
    },
  },
});

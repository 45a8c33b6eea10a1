import { defineConfig } from 'vitest/config';

/** Unit tests stand beside their files; whole-system tests live in `test/`. All of them run in parallel and shuffled. */
export default defineConfig({
  test: {
    include: ['{shared,producer,workers,dashboards,cli}/src/**/*.test.ts', 'test/**/*.test.ts'],
    sequence: { shuffle: true },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: each whole-system test holds an embedded database of its own.
    maxWorkers: 2,
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

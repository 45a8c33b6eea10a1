/** A breaker that does not open: tests of other things fail calls on purpose, on targets that they share. */
export const lenientBreaker = { consecutive_failures: 1_000, minimum_calls: 100_000 };

/** The configuration of a test, which may ask for a breaker of its own. */
export const withLenientBreaker = (config: unknown): unknown =>
  typeof config === 'object' && config !== null && !('breaker' in config)
    ? { ...config, breaker: lenientBreaker }
    : config;

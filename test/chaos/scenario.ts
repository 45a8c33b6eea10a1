/** A scenario: an entry of a table that says what runs, what is done to it, and what may come of it. */
import type { Arena, ArenaOptions, Store } from './arena.ts';
import type { Evidence } from './evidence.ts';
import type { Expectations } from './invariants.ts';

export interface Scenario {
  readonly name: string;
  /** One line for the list. */
  readonly about: string;
  readonly stores: readonly Store[];
  readonly jobs: number;
  /** With `--short`. */
  readonly shortJobs: number;
  /** From the end of the faults until every job and webhook is done. */
  readonly settleLimitS: number;
  readonly arena?: Partial<Pick<ArenaOptions, 'workers' | 'limit' | 'timeouts' | 'surround' | 'configure' | 'shape'>>;
  readonly expectations?: Partial<Expectations>;
  /** Why it cannot run here; null: it can. */
  readonly skip?: () => string | null;
  /** Where the scenario starts its processes itself. */
  readonly startsItself?: boolean;
  /** Puts the load on and applies the faults; resolves when the last one has ended and all is submitted. */
  run(arena: Arena): Promise<Partial<Expectations> | undefined>;
  /** What the scenario itself demands of what was left behind; a line for each that does not hold. */
  check?(evidence: Evidence, arena: Arena): Promise<readonly string[]> | readonly string[];
}

/** With `--short`, less of whatever is counted. */
export const scaled = ({ isShort }: Pick<Arena, 'isShort'>, full: number, short: number): number =>
  isShort ? short : full;

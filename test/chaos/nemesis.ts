/**
 * Who hurts the system, and when: a list made from the seed before anything runs, and a history of what was done. The
 * list does not depend on how fast the machine is; what each fault meets does.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDice } from './dice.ts';

export interface PlannedFault {
  /** After the fault before it. */
  readonly gapMs: number;
  readonly kind: string;
  /** From [0, 1): which of the processes it hits. */
  readonly roll: number;
}

export interface PlanOptions {
  readonly kinds: readonly string[];
  readonly count: number;
  readonly gapMs: readonly [low: number, high: number];
}

export function planFaults(seed: number, { kinds, count, gapMs }: PlanOptions): PlannedFault[] {
  const dice = createDice(seed, 'nemesis');
  return Array.from({ length: count }, () => ({
    gapMs: dice.between(...gapMs),
    kind: dice.pick(kinds),
    roll: dice.next(),
  }));
}

/** Two runs with one fingerprint were given the same faults. */
export const fingerprint = (plan: readonly PlannedFault[]): string =>
  createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 12);

/** A fault that was applied. */
export interface Fault {
  readonly kind: string;
  /** What it hit: `worker-2`, `redis`. */
  readonly hit: string;
  readonly pid: number | null;
  readonly startedAtMs: number;
  /** Null while it lasts. A kill ends at once. */
  endedAtMs: number | null;
}

export interface History {
  readonly faults: readonly Fault[];
  begin(kind: string, hit: string, pid?: number): Fault;
  end(fault: Fault): void;
  /** The fault lasts as long as the work. */
  during<T>(kind: string, hit: string, work: () => Promise<T>): Promise<T>;
}

export function createHistory(tell: (line: string) => void): History {
  const faults: Fault[] = [];
  const history: History = {
    faults,
    begin(kind, hit, pid) {
      const fault: Fault = { kind, hit, pid: pid ?? null, startedAtMs: Date.now(), endedAtMs: null };
      faults.push(fault);
      tell(`${kind}: ${hit}`);
      return fault;
    },
    end(fault) {
      fault.endedAtMs = Date.now();
    },
    async during(kind, hit, work) {
      const fault = history.begin(kind, hit);
      try {
        return await work();
      } finally {
        history.end(fault);
      }
    },
  };
  return history;
}

/** Applies the plan; stops early when `isOver` says that nothing is left to hurt. */
export async function playFaults(
  plan: readonly PlannedFault[],
  arms: Readonly<Record<string, (roll: number) => Promise<void>>>,
  { signal, isOver = async () => false }: { signal: AbortSignal; isOver?: () => Promise<boolean> },
): Promise<number> {
  let applied = 0;
  for (const fault of plan) {
    await sleep(fault.gapMs, undefined, { signal });
    if (await isOver()) break;
    const arm = arms[fault.kind];
    if (!arm) throw new Error(`nothing applies the fault ${fault.kind}`);
    await arm(fault.roll);
    applied += 1;
  }
  return applied;
}

export const pickBy = <T>(list: readonly T[], roll: number): T => {
  const one = list[Math.floor(roll * list.length)];
  if (one === undefined) throw new Error('nothing is left to hurt');
  return one;
};

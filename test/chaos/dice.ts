/** Random numbers from a seed: the same seed and name give the same numbers, whoever else rolls. */
export interface Dice {
  /** From [0, 1). */
  next(): number;
  /** A whole number, both ends included. */
  between(low: number, high: number): number;
  pick<T>(list: readonly T[]): T;
}

export function createDice(seed: number, name: string): Dice {
  // FNV-1a, then mulberry32: short, and good enough to spread faults.
  let state = 2_166_136_261;
  for (const char of `${seed}/${name}`) state = Math.imul(state ^ char.charCodeAt(0), 16_777_619);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick<T>(list: readonly T[]) {
      if (list.length === 0) throw new Error('Cannot pick from an empty list');
      return list[Math.floor(next() * list.length)] as T;
    },
  };
}

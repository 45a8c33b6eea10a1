/** The order in which a chain's targets are tried. Pure: the turn of `round_robin` comes in as a number. */
export function orderTargets(targets: readonly string[], strategy: 'ordered' | 'round_robin', turn: number): string[] {
  if (strategy === 'ordered' || targets.length < 2) return [...targets];
  const start = ((turn % targets.length) + targets.length) % targets.length;
  return [...targets.slice(start), ...targets.slice(0, start)];
}

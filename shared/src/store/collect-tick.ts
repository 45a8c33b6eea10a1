/**
 * Group commit: calls that are made while others are on their way go out as one statement.
 *
 * A hundred submits that arrive together cost one INSERT, and while it runs the next hundred gather. An item whose
 * statement fails together with others is tried again alone, so that one bad item fails only itself.
 */

export interface CollectOptions {
  readonly maxItems: number;
  /** Statements on their way at once; what comes meanwhile gathers. */
  readonly maxInFlight?: number;
}

export function collectTick<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  { maxItems, maxInFlight = Number.POSITIVE_INFINITY }: CollectOptions,
): (item: Item) => Promise<Result> {
  type Waiting = { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void };
  let waiting: Waiting[] = [];
  let inFlight = 0;
  let isScheduled = false;
  const schedule = () => {
    if (isScheduled || waiting.length === 0 || inFlight >= maxInFlight) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      while (waiting.length > 0 && inFlight < maxInFlight) {
        const group = waiting.slice(0, maxItems);
        waiting = waiting.slice(maxItems);
        inFlight += 1;
        void runGroup(group).finally(() => {
          inFlight -= 1;
          schedule();
        });
      }
    });
  };
  const runGroup = async (group: readonly Waiting[]): Promise<void> => {
    try {
      const results = await run(group.map((each) => each.item));
      for (const [index, each] of group.entries()) each.resolve(results[index] as Result);
    } catch (error) {
      if (group.length === 1) return group[0]?.reject(error);
      for (const each of group) await runGroup([each]);
    }
  };
  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      schedule();
    });
}

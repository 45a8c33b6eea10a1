/**
 * Group commit: calls that are made while others are on their way go out as one statement.
 *
 * A hundred submits that arrive together cost one INSERT, and while it runs the next hundred gather. An item whose
 * statement fails together with others is tried again alone, so that one bad item fails only itself; but not where the
 * fault is no item's, as when a statement waited too long: a hundred more of them would wait behind one another.
 */

export interface CollectOptions {
  readonly maxItems: number;
  /** Statements on their way at once; what comes meanwhile gathers. */
  readonly maxInFlight?: number;
  /** Whether an item may be at fault, so that each is tried alone; unless it says otherwise, one always may. */
  readonly mayBeOfItem?: (error: unknown) => boolean;
}

export function collectTick<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  { maxItems, maxInFlight = Number.POSITIVE_INFINITY, mayBeOfItem = () => true }: CollectOptions,
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
      if (group.length > 1 && mayBeOfItem(error)) for (const each of group) await runGroup([each]);
      else for (const each of group) each.reject(error);
    }
  };
  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      schedule();
    });
}

/**
 * Group commit: calls that are made while others are on their way go out as one statement.
 *
 * A hundred submits that arrive together cost one INSERT, and while it runs the next hundred gather. An item whose
 * statement fails together with others is tried again alone, so that one bad item fails only itself. Where the fault may
 * be no item's, as when a statement waited too long, a hundred more of them would wait behind one another: halves do.
 */

export type Again = 'each' | 'halves' | 'none';

export interface CollectOptions {
  readonly maxItems: number;
  /** Statements on their way at once; what comes meanwhile gathers. */
  readonly maxInFlight?: number;
  /** How those whose statement failed are tried again; each alone, unless it says otherwise. */
  readonly again?: (error: unknown) => Again;
}

export function collectTick<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  { maxItems, maxInFlight = Number.POSITIVE_INFINITY, again = () => 'each' }: CollectOptions,
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
      const how = group.length === 1 ? 'none' : again(error);
      const half = how === 'halves' ? Math.ceil(group.length / 2) : 1;
      if (how === 'none') for (const each of group) each.reject(error);
      else for (let from = 0; from < group.length; from += half) await runGroup(group.slice(from, from + half));
    }
  };
  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      schedule();
    });
}

/**
 * Group commit: calls that are made in one turn of the event loop go out as one statement.
 *
 * A hundred submits that arrive together cost one INSERT; an item whose statement fails together with others is
 * tried again alone, so that one bad item fails only itself.
 */
export function collectTick<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  maxItems: number,
): (item: Item) => Promise<Result> {
  type Waiting = { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void };
  let waiting: Waiting[] = [];
  const flush = async () => {
    const group = waiting;
    waiting = [];
    for (let start = 0; start < group.length; start += maxItems) await runGroup(group.slice(start, start + maxItems));
  };
  const runGroup = async (group: readonly Waiting[]) => {
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
      if (waiting.length === 1) setImmediate(() => void flush());
    });
}

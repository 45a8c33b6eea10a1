/**
 * Names of tools, there and back, for providers that know fewer characters than the canonical form does, and take no
 * digit first.
 *
 * A name that fits keeps itself, and the others make way for it, so that two tools never become one.
 */
import type { ChatRequest } from '../chat/request.ts';

export interface ToolNames {
  toTheirs(name: string): string;
  /** A name we did not write comes back as it is: the model made it up. */
  toOurs(name: string): string;
}

/**
 * Of the tools, and of the calls in the conversation, whose tools may be gone.
 * @param known the characters a name may have, as in a class of a regular expression; the first is a letter or `_`
 */
export function toolNamesOf({ tools = [], messages }: ChatRequest, known: string): ToolNames {
  const unknown = new RegExp(`[^${known}]`, 'g');
  const fit = (name: string): string => name.replaceAll(unknown, '_').replace(/^(?![A-Za-z_])/, '_');
  const called = messages.flatMap((message) => (message.role === 'assistant' ? (message.tool_calls ?? []) : []));
  const names = new Set([...tools, ...called].map((each) => each.function.name));
  const theirs = new Map([...names].filter((name) => fit(name) === name).map((name) => [name, name]));
  const ours = new Map(theirs);
  for (const name of names) {
    if (theirs.has(name)) continue;
    let free = fit(name);
    for (let count = 2; ours.has(free); count += 1) free = `${fit(name)}_${count}`;
    theirs.set(name, free);
    ours.set(free, name);
  }
  return { toTheirs: (name) => theirs.get(name) ?? fit(name), toOurs: (name) => ours.get(name) ?? name };
}

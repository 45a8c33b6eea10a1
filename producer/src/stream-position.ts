/**
 * Where a reader stands, as the id of the last event it had: `Last-Event-ID` brings it back.
 *
 * `<token>-<n>`: an event of the chunk store. `rest-<run>`: in the middle of what comes from the job's output.
 * `whole-<run>`: it has all of that. `done-<run>`: it has been told the end.
 */
export type StreamPosition =
  | { readonly kind: 'chunk'; readonly token: string; readonly n: number }
  | { readonly kind: 'rest' | 'whole' | 'done'; readonly run: number };

export const formatPosition = (position: StreamPosition): string =>
  position.kind === 'chunk' ? `${position.token}-${position.n}` : `${position.kind}-${position.run}`;

/** null: not an id of ours. */
export function parsePosition(id: string): StreamPosition | null {
  const [, word = '', digits = ''] = /^([0-9a-f]{8}|rest|whole|done)-(\d{1,9})$/.exec(id) ?? [];
  if (word === '') return null;
  const number = Number(digits);
  if (word === 'rest' || word === 'whole' || word === 'done') return { kind: word, run: number };
  return { kind: 'chunk', token: word, n: number };
}

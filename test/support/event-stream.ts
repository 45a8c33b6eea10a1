/** Reads server-sent events as a browser would: event by event, with the id it would come back with. */

export interface SentEvent {
  readonly id: string | null;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

export interface EventStream {
  readonly status: number;
  /** Everything that came, comments too. */
  raw(): string;
  readonly events: readonly SentEvent[];
  /** Reads on until one of the events fulfils it, and returns that one. */
  until(isIt: (event: SentEvent) => boolean): Promise<SentEvent>;
  /** Reads to the end of the stream. */
  toEnd(): Promise<readonly SentEvent[]>;
  close(): void;
}

export async function openEventStream(
  url: string,
  options: { readonly apiKey: string; readonly lastEventId?: string },
): Promise<EventStream> {
  const leaving = new AbortController();
  const response = await fetch(url, {
    signal: leaving.signal,
    headers: {
      authorization: `Bearer ${options.apiKey}`,
      ...(options.lastEventId === undefined ? {} : { 'last-event-id': options.lastEventId }),
    },
  });
  const chunks = response.body?.[Symbol.asyncIterator]();
  const decoder = new TextDecoder();
  const events: SentEvent[] = [];
  let [raw, rest, isEnded] = ['', '', false];
  const more = async (): Promise<void> => {
    const { value, done } = (await chunks?.next()) ?? { done: true, value: undefined };
    isEnded = done === true;
    const text = value === undefined ? '' : decoder.decode(value, { stream: true });
    raw += text;
    const frames = (rest + text).split('\n\n');
    rest = frames.pop() ?? '';
    events.push(...frames.flatMap(parseFrame));
  };
  return {
    status: response.status,
    raw: () => raw,
    events,
    async until(isIt) {
      for (let at = 0; ; at += 1) {
        while (at >= events.length) {
          if (isEnded) throw new Error(`The stream ended before: ${raw.slice(-2_000)}`);
          await more();
        }
        const event = events[at];
        if (event && isIt(event)) return event;
      }
    },
    async toEnd() {
      while (!isEnded) await more();
      return events;
    },
    close: () => leaving.abort(),
  };
}

function parseFrame(frame: string): SentEvent[] {
  const field = (name: string) =>
    frame
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2);
  const data = field('data');
  if (data === undefined) return [];
  return [{ id: field('id') ?? null, event: field('event') ?? 'message', data: JSON.parse(data) }];
}

/** What a client holds that follows the rules: a beginning and a gap make void what came before. */
export function textOfEvents(events: readonly SentEvent[]): string {
  let text = '';
  for (const { event, data } of events) {
    if (event === 'started' || event === 'restarted' || event === 'gap') text = '';
    if (event === 'delta' && data.kind === 'text') text += data.text;
  }
  return text;
}

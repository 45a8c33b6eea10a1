/**
 * What the fake providers share: what they are asked, what they say, and what they understood.
 *
 * `Heard` is the meaning of a request in one form for all of them, so that one expectation holds for every wire.
 */
import type { Json } from './shape.ts';

export interface Asked {
  /** The path after the provider's own root, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Json;
  /** Names of fields that this server takes and ignores. */
  readonly ignored: string[];
}

export interface SaidCall {
  /** null: the server gives none. */
  readonly id: string | null;
  readonly name: string;
  readonly arguments: Json;
}

/** As all providers can tell it: `input` and `output` are the totals. */
export interface SaidUsage {
  readonly input: number;
  readonly output: number;
  readonly cacheRead?: number;
  readonly cacheWrite?: number;
  readonly reasoning?: number;
}

/** What a model says, before a provider puts it into its own form. */
export interface Said {
  readonly text: string;
  readonly reasoning: string;
  readonly refusal: string | null;
  readonly calls: readonly SaidCall[];
  readonly finish: 'stop' | 'length' | 'content_filter';
  /** null: not reported. */
  readonly usage: SaidUsage | null;
  /** A reason to stop that no version of the documentation names. */
  readonly oddFinish: boolean;
}

export const says = (text: string, more: Partial<Said> = {}): Said => ({
  text,
  reasoning: '',
  refusal: null,
  calls: [],
  finish: 'stop',
  usage: { input: 11, output: 5 },
  oddFinish: false,
  ...more,
});

export type HeardPart =
  | { readonly who: 'system' | 'user' | 'model'; readonly text: string }
  | { readonly who: 'user'; readonly image: string }
  | {
      readonly who: 'model';
      readonly call: { readonly id: string | null; readonly name: string; readonly arguments: unknown };
    }
  | { readonly who: 'result'; readonly id: string | null; readonly name: string | null; readonly text: string }
  /** Something that only its maker understands. */
  | { readonly who: 'model'; readonly bound: unknown };

export interface HeardTool {
  readonly name: string;
  readonly description: string | null;
  readonly schema: unknown;
}

export interface Heard {
  readonly model: string;
  readonly parts: readonly HeardPart[];
  readonly tools: readonly HeardTool[];
  readonly toolUse: 'auto' | 'none' | 'required' | { readonly name: string };
  readonly parallel: boolean;
  readonly format: 'text' | 'json_object' | { readonly schema: unknown };
  readonly maxTokens: number | null;
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly stop: readonly string[];
  readonly seed: number | null;
  readonly effort: unknown;
}

export const heard = (more: Partial<Heard>): Heard => ({
  model: '',
  parts: [],
  tools: [],
  toolUse: 'auto',
  parallel: true,
  format: 'text',
  maxTokens: null,
  temperature: null,
  topP: null,
  stop: [],
  seed: null,
  effort: null,
  ...more,
});

export interface Refusal {
  readonly status: number;
  readonly body: unknown;
}

/** One path of a server: what it takes there, and how it answers. */
export interface Surface {
  readonly path: RegExp;
  /** Throws `BrokenRequest`. */
  check(asked: Asked): void;
  hear(asked: Asked): Heard;
  isStreamed(asked: Asked): boolean;
  whole(said: Said, asked: Asked): unknown;
  /** Framed pieces of a streamed answer, in order; the last one is what says that it has ended. */
  frames(said: Said, asked: Asked): readonly string[];
  readonly streamType: string;
  /** How an overload is told in the middle of a stream. */
  readonly midStreamError: string;
}

export interface FakeProvider {
  /** What stands between the server's address and the paths of its API. */
  readonly root: string;
  readonly surfaces: readonly Surface[];
  readonly error: (status: number, message: string, code: string | null, param: string | null) => unknown;
  readonly requestIdHeader: string | null;
}

export const num = (value: unknown): number | null => (typeof value === 'number' ? value : null);

/** Pieces of a text, cut where no word ends. */
export function cutText(text: string, length = 5): string[] {
  const characters = [...text];
  const pieces: string[] = [];
  for (let at = 0; at < characters.length; at += length) pieces.push(characters.slice(at, at + length).join(''));
  return pieces;
}

export const sse = (data: unknown, event?: string): string =>
  `${event === undefined ? '' : `event: ${event}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

export const base64Image = (url: string): string => (url.startsWith('data:') ? url.slice(url.indexOf(',') + 1) : url);

/** Vectors that depend on their text, so that a changed order is seen. */
export const vectorOf = (text: string, dimensions = 3): number[] =>
  Array.from({ length: dimensions }, (_, index) => (text.length + index) / 8);

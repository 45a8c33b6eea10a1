/** One row of the table of chat cases: what is asked, what the model says, what must be heard and answered. */
import type { Answer } from '@waybill/shared/chat/response.ts';
import type { Failure } from '@waybill/shared/domain/failure.ts';
import { type Heard, type Said, says } from './wire.ts';

export interface HeardAs {
  readonly meaning?: readonly string[];
  readonly settings?: Partial<Heard>;
}

export interface Case {
  readonly title: string;
  /** The presets it is about; absent: all. */
  readonly only?: readonly string[];
  readonly cannot: readonly string[];
  readonly request: (id: string) => object;
  readonly said: (id: string) => Said;
  readonly heard: (id: string) => HeardAs;
  readonly answer: (id: string) => Partial<Record<keyof Answer, unknown>>;
  readonly failure?: Partial<Failure>;
  readonly model?: (id: string) => string | undefined;
  readonly pieceBytes?: number;
  /** Each warning matches one of these, and each of these is matched. */
  readonly warns: (id: string) => readonly RegExp[];
  /** What is warned of is left to the tests of the dialect. */
  readonly anyWarning: boolean;
}

const hello = { messages: [{ role: 'user', content: 'Hi' }] };
export const reply = says('Grüezi 👋 mitenand', { usage: { input: 20, output: 7 } });

/** What one preset, or the presets of one list, do otherwise. */
export const byId =
  <T>(usual: T, others: Readonly<Record<string, T>> = {}) =>
  (id: string): T =>
    others[id] ?? usual;

type Loose<T> = T | ((id: string) => T);
const asFunction = <T>(value: Loose<T>): ((id: string) => T) =>
  typeof value === 'function' ? (value as (id: string) => T) : () => value;

export interface Row {
  readonly only?: readonly string[];
  readonly cannot?: readonly string[];
  readonly request?: Loose<object>;
  readonly said?: Loose<Said>;
  readonly meaning?: readonly string[];
  readonly settings?: Loose<Partial<Heard>>;
  readonly answer?: Loose<Partial<Record<keyof Answer, unknown>>>;
  readonly failure?: Partial<Failure>;
  readonly model?: (id: string) => string | undefined;
  readonly pieceBytes?: number;
  readonly warns?: (id: string) => readonly RegExp[];
  readonly anyWarning?: boolean;
}

/** "Hi", answered with a greeting, changed as the row says. */
export function chatCase(title: string, row: Row): Case {
  const request = asFunction<object>(row.request ?? {});
  const settings = asFunction<Partial<Heard>>(row.settings ?? {});
  return {
    title,
    cannot: row.cannot ?? [],
    request: (id) => ({ ...hello, ...request(id) }),
    said: asFunction<Said>(row.said ?? reply),
    heard: (id) => ({ ...(row.meaning === undefined ? {} : { meaning: row.meaning }), settings: settings(id) }),
    answer: asFunction(row.answer ?? {}),
    warns: row.warns ?? (() => []),
    anyWarning: row.anyWarning ?? false,
    ...(row.only === undefined ? {} : { only: row.only }),
    ...(row.failure === undefined ? {} : { failure: row.failure }),
    ...(row.model === undefined ? {} : { model: row.model }),
    ...(row.pieceBytes === undefined ? {} : { pieceBytes: row.pieceBytes }),
  };
}

export const dropped = (...fields: readonly string[]): RegExp[] => fields.map((field) => new RegExp(`"${field}"`));

/** Matches any text of at least one character, without the test library in a support file. */
export const anyOf = {
  filled: {
    asymmetricMatch: (value: unknown): boolean => typeof value === 'string' && value !== '',
    toString: () => 'a filled text',
  },
};

export const listed = (ids: readonly string[], patterns: readonly RegExp[]): Record<string, readonly RegExp[]> =>
  Object.fromEntries(ids.map((id) => [id, patterns]));

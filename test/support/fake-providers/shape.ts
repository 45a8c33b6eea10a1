/** The form of a request, checked as strictly as the server that would refuse it. */
export type Json = Record<string, unknown>;

/** A request the server refuses, in words all fakes share; each writes it in its own error shape. */
export class BrokenRequest extends Error {
  override readonly name = 'BrokenRequest';
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;
  constructor(message: string, more: { status?: number; code?: string; param?: string } = {}) {
    super(message);
    this.status = more.status ?? 400;
    this.code = more.code ?? null;
    this.param = more.param ?? null;
  }
}

export type Rule = (value: unknown, at: string) => void;

export function need(
  condition: boolean,
  message: string,
  more?: { status?: number; code?: string; param?: string },
): void {
  if (!condition) throw new BrokenRequest(message, more);
}

export const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const recordOf = (value: unknown): Json => (isRecord(value) ? value : {});
export const listOf = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);

/** Arguments as a model wrote them: broken ones stay as they are. */
export function argumentsOf(written: unknown): unknown {
  try {
    return JSON.parse(String(written));
  } catch {
    return written;
  }
}

export const anything: Rule = () => undefined;
export const text: Rule = (value, at) => need(typeof value === 'string', `${at}: expected a text`, { param: at });
export const filled: Rule = (value, at) =>
  need(typeof value === 'string' && value !== '', `${at}: expected a text that is not empty`, { param: at });
export const flag: Rule = (value, at) => need(typeof value === 'boolean', `${at}: expected true or false`);
export const record: Rule = (value, at) => need(isRecord(value), `${at}: expected an object`, { param: at });
export const nothing: Rule = (value, at) => need(value === null, `${at}: expected null`);

export const between =
  (least: number, most: number): Rule =>
  (value, at) =>
    need(typeof value === 'number' && value >= least && value <= most, `${at}: expected ${least} to ${most}`, {
      param: at,
    });
export const whole =
  (least = 0, most = Number.MAX_SAFE_INTEGER): Rule =>
  (value, at) =>
    need(Number.isInteger(value) && (value as number) >= least && (value as number) <= most, `${at}: not a count`, {
      param: at,
    });
export const oneOf =
  (...values: readonly unknown[]): Rule =>
  (value, at) =>
    need(values.includes(value), `${at}: expected one of ${values.join(', ')}`, { param: at });
export const matching =
  (pattern: RegExp): Rule =>
  (value, at) =>
    need(typeof value === 'string' && pattern.test(value), `${at}: does not match ${pattern.source}`, { param: at });
export const list =
  (rule: Rule, least = 0, most = 10_000): Rule =>
  (value, at) => {
    need(
      Array.isArray(value) && value.length >= least && value.length <= most,
      `${at}: expected ${least}-${most} items`,
      {
        param: at,
      },
    );
    for (const [index, each] of (value as unknown[]).entries()) rule(each, `${at}[${index}]`);
  };
export const either =
  (...rules: readonly Rule[]): Rule =>
  (value, at) => {
    let last: unknown;
    for (const rule of rules) {
      try {
        return rule(value, at);
      } catch (error) {
        last = error;
      }
    }
    throw last;
  };

/** An object of these fields; a name that ends in `?` may be absent. Others are told to `onUnknown`. */
export const object =
  (fields: Readonly<Record<string, Rule>>, onUnknown: (name: string, at: string) => void): Rule =>
  (value, at) => {
    record(value, at);
    const given = value as Json;
    const inside = (name: string) => (at === '' ? name : `${at}.${name}`);
    for (const name of Object.keys(given))
      if (!(name in fields) && !(`${name}?` in fields)) onUnknown(name, inside(name));
    for (const [field, rule] of Object.entries(fields)) {
      const name = field.replace('?', '');
      if (given[name] === undefined) need(field.endsWith('?'), `${inside(name)}: missing`, { param: inside(name) });
      else rule(given[name], inside(name));
    }
  };

export const refuseUnknown = (_name: string, at: string): void =>
  need(false, `Unknown parameter: '${at}'.`, { code: 'unknown_parameter', param: at });

/** An object of these fields and no other. */
export const closed = (fields: Readonly<Record<string, Rule>>): Rule => object(fields, refuseUnknown);

/** One of several objects, told apart by a field. */
export const tagged =
  (field: string, kinds: Readonly<Record<string, Rule>>): Rule =>
  (value, at) => {
    const kind = String(recordOf(value)[field]);
    need(Object.hasOwn(kinds, kind), `${at}.${field}: '${kind}' is not supported`, {
      code: 'invalid_value',
      param: at,
    });
    kinds[kind]?.(value, at);
  };

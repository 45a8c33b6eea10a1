/** How a row of the failure tables is written. */
import type { Failure } from '@waybill/shared/domain/failure.ts';

export interface FailureCase {
  readonly providers: readonly string[];
  readonly title: string;
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly kind: Failure['kind'];
  readonly more?: Partial<Failure>;
}

type Rest = readonly [
  title: string,
  status: number,
  body: unknown,
  kind: Failure['kind'],
  headers?: Readonly<Record<string, string>>,
  more?: Partial<Failure>,
];
export const rows = (providers: readonly string[], cases: readonly Rest[]): FailureCase[] =>
  cases.map(([title, status, body, kind, headers, more]) => ({
    providers,
    title,
    status,
    body,
    kind,
    ...(headers === undefined ? {} : { headers }),
    ...(more === undefined ? {} : { more }),
  }));

export const openaiError = (message: string, more: object = {}) => ({
  error: { message, type: 'invalid_request_error', param: null, code: null, ...more },
});
export const limitedError = (message: string, more: object = {}) =>
  openaiError(message, { type: 'requests', code: 'rate_limit_exceeded', ...more });

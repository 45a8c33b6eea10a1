/**
 * Google's error: a status in words, and typed `details[]` that say which quota it was, or what is wrong with the key.
 *
 * Words are lower case here. Only the structured ones ever reach a message: texts may echo a prompt.
 */
import { asCount, asList, asRecord, asText, type Json } from '../provider-json.ts';

export interface GoogleError {
  /** The HTTP status the body names, for errors inside an answer of status 200; null when it names none. */
  readonly httpStatus: number | null;
  /** `resource_exhausted`. */
  readonly status: string;
  /** Of `ErrorInfo`: `api_key_invalid`. */
  readonly reason: string;
  /** The worst quota that is used up; empty when it names none. */
  readonly quota: Quota;
  /** For matching only, never stored. */
  readonly text: string;
}

/** `project_per_day`: used up for all models of the project. `per_period`: longer than a minute, but not a day. */
export type Quota = '' | 'limit_zero' | 'project_per_day' | 'per_day' | 'per_period' | 'per_minute';

/** Best first. */
const quotas: readonly Quota[] = ['', 'per_minute', 'per_period', 'per_day', 'project_per_day', 'limit_zero'];

/** Null when the body is not JSON: a page of a proxy, mostly. Some of their surfaces put the error into a list. */
export function readGoogleError(body: string): GoogleError | null {
  try {
    return toGoogleError(JSON.parse(body));
  } catch {
    return null;
  }
}

export function toGoogleError(parsed: unknown): GoogleError {
  const error = asRecord(asRecord(Array.isArray(parsed) ? parsed[0] : parsed).error);
  const details = asList(error.details).map(asRecord);
  const infos = details.filter((each) => isOfType(each, 'ErrorInfo'));
  const violations = details
    .filter((each) => isOfType(each, 'QuotaFailure'))
    .flatMap((each) => asList(each.violations).map(asRecord));
  const text = asText(error.message).slice(0, 8_192).toLowerCase();
  const code = asCount(error.code);
  return {
    httpStatus: code !== null && code >= 400 && code < 600 ? code : null,
    status: word(error.status),
    reason: infos.map(({ reason }) => word(reason)).find((reason) => reason !== '') ?? '',
    quota: worst([...violations.map(quotaOf), ...infos.map(limitOf), ...(limitZero.test(text) ? zero : [])]),
    text,
  };
}

const isOfType = (detail: Json, type: string): boolean => asText(detail['@type']).endsWith(`.${type}`);
const word = (value: unknown): string => asText(value).toLowerCase().slice(0, 100);

/** A limit of zero is left out of `quotaValue`, as every zero of this format may be; the text still says it. */
const limitZero = /\blimit: ?0(?![\d.])/;
const zero: readonly Quota[] = ['limit_zero'];

function quotaOf(violation: Json): Quota {
  const value = violation.quotaValue;
  if (value === '0' || value === 0) return 'limit_zero';
  const id = asText(violation.quotaId);
  const isOfModel = /per(?:base)?model/i.test(id) || asText(asRecord(violation.quotaDimensions).model) !== '';
  return periodOf(id, isOfModel);
}

/** Older errors name the quota in `ErrorInfo` alone. */
const limitOf = ({ metadata }: Json): Quota => periodOf(asText(asRecord(metadata).quota_limit), true);

function periodOf(id: string, isOfModel: boolean): Quota {
  if (/per_?day/i.test(id)) return isOfModel ? 'per_day' : 'project_per_day';
  if (/per_?(?:hour|week|month)/i.test(id)) return 'per_period';
  return /per_?(?:minute|second)/i.test(id) ? 'per_minute' : '';
}

const worst = (found: readonly Quota[]): Quota =>
  quotas[Math.max(0, ...found.map((quota) => quotas.indexOf(quota)))] as Quota;

/** Lists in the order in which things were noted: where a page begins, how long it is, and where the next one does. */
import { Problem } from '@waybill/shared/domain/problem.ts';

const defaultLimit = 100;
const largestLimit = 100;

/** @param what is listed @throws Problem `invalid_limit` */
export function limitOf(text: string | undefined, what: string): number {
  const limit = /^\d{1,9}$/.test(text ?? `${defaultLimit}`) ? Number(text ?? defaultLimit) : 0;
  if (limit >= 1 && limit <= largestLimit) return limit;
  throw new Problem(
    'invalid_limit',
    `Cannot list ${what}: limit is "${(text ?? '').slice(0, 40)}", expected 1 to ${largestLimit}`,
    { param: 'limit' },
  );
}

/** The number of the last one seen; 0: from the beginning. @throws Problem `invalid_cursor` */
export function afterOf(text: string | undefined, what: string): number {
  if (/^\d{1,15}$/.test(text ?? '0')) return Number(text ?? '0');
  throw new Problem(
    'invalid_cursor',
    `Cannot list ${what}: after is "${(text ?? '').slice(0, 40)}", expected the ord of the last one seen, or nothing`,
    { param: 'after' },
  );
}

export interface OrdList<Item> {
  readonly object: 'list';
  readonly data: readonly Item[];
  readonly has_more: boolean;
  /** What `after` is for the next page, now or later. */
  readonly next_after: number;
}

/** @param found one more than the page holds, where there is more */
export function ordList<Item extends { readonly ord: number }>(
  found: readonly Item[],
  { after, limit }: { readonly after: number; readonly limit: number },
): OrdList<Item> {
  const data = found.slice(0, limit);
  return { object: 'list', data, has_more: found.length > limit, next_after: data.at(-1)?.ord ?? after };
}

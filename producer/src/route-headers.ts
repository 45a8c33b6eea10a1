/** Which target answered, after how many attempts and at what cost: headers of a call that was waited for. */
import { lastResortName } from '@waybill/shared/chat/last-resort.ts';
import { formatUsd } from '@waybill/shared/domain/money.ts';
import type { JobView } from '@waybill/shared/store/jobs.ts';

/**
 * Of a final job. The target is the one that answered, or that was called last; none was called, none is named. The cost
 * is the sum of what is known; how many attempts it leaves out stands beside it.
 */
export function routeHeaders({ job, attempts }: JobView): Record<string, string> {
  const target = job.is_last_resort ? lastResortName : attempts.at(-1)?.target;
  const known = attempts.reduce((sum, { cost_nano: nano }) => sum + BigInt(nano ?? 0), 0n);
  const unknown = attempts.filter(({ cost_basis: basis, cost_nano: nano }) => basis !== null && nano === null).length;
  return {
    ...(target === undefined ? {} : { 'x-waybill-target': headerText(target) }),
    'x-waybill-attempts': String(attempts.length),
    'x-waybill-cost-usd': formatUsd(known),
    ...(unknown === 0 ? {} : { 'x-waybill-cost-unknown-attempts': String(unknown) }),
  };
}

/** Models have names in every script; a header has visible ASCII. What is not, and `%` itself, is percent-encoded. */
export const headerText = (text: string): string =>
  text.toWellFormed().replaceAll(/[^\x21-\x24\x26-\x7e]+/gu, encodeURIComponent);

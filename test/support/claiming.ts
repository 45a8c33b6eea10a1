/** What a claim needs besides its job, in tests of other things: nothing is required, and nothing costs anything. */
import type { ClaimRequest } from '@waybill/shared/store/claim.ts';

const nothing = { inputPerMillion: 0n, outputPerMillion: 0n };

export const plainClaim: Pick<ClaimRequest, 'labels' | 'require' | 'credential' | 'place' | 'prices'> = {
  labels: [],
  require: [],
  credential: null,
  place: 'default',
  prices: { expected: nothing, largest: nothing, dearest: nothing, maxOutputTokens: null },
};

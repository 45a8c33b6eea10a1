/** Cursors of lists: opaque, and authenticated for tenant and list, so that a forged one is refused. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { Problem } from '@waybill/shared/domain/problem.ts';

const macBytes = 12;

export interface Cursors {
  write(tenantId: string, list: string, position: string): string;
  /** @throws Problem `invalid_cursor` */
  read(tenantId: string, list: string, cursor: string): string;
}

export function createCursors(key: Uint8Array): Cursors {
  const macOf = (tenantId: string, list: string, position: string) =>
    createHmac('sha256', key).update(`cursor\n${tenantId}\n${list}\n${position}`).digest().subarray(0, macBytes);
  return {
    write: (tenantId, list, position) =>
      Buffer.concat([macOf(tenantId, list, position), Buffer.from(position)]).toString('base64url'),
    read(tenantId, list, cursor) {
      const bytes = Buffer.from(cursor, 'base64url');
      const position = bytes.subarray(macBytes).toString('utf8');
      if (
        bytes.length <= macBytes ||
        cursor.length > 200 ||
        !timingSafeEqual(bytes.subarray(0, macBytes), macOf(tenantId, list, position))
      ) {
        throw new Problem(
          'invalid_cursor',
          'Cannot read the list: the cursor was not made by this server for this list. Begin again without it',
          { param: 'cursor' },
        );
      }
      return position;
    },
  };
}

/** Where the work is kept, without secrets, for the first lines of a start. */
import type { Environment } from '@waybill/shared/config/environment.ts';
import { describeRedis } from '@waybill/shared/redis/redis-address.ts';
import { describeDatabase } from '@waybill/shared/store/describe-database.ts';

export function describeStores({ DATABASE_URL, REDIS_URL }: Environment, directory: string): string {
  if (DATABASE_URL === undefined) return `embedded database in ${directory}`;
  return `${describeDatabase(DATABASE_URL)}${REDIS_URL === undefined ? '' : ` and ${describeRedis(REDIS_URL)}`}`;
}

/** An embedded store under its directory's lock, without migrations: what the product opens, bare. */
import { join } from 'node:path';
import { lockDirectory } from '@waybill/shared/store/directory-lock.ts';
import { type EmbeddedStore, openEmbeddedStore } from '@waybill/shared/store/embedded.ts';

export async function openLockedStore({ directory }: { directory: string }): Promise<EmbeddedStore> {
  const lock = await lockDirectory(directory);
  return openEmbeddedStore({ path: join(directory, 'postgres'), onClose: () => lock.release() });
}

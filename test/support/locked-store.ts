/** An embedded store under its directory's lock, without migrations: what the product opens, bare. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lockDirectory } from '@waybill/shared/store/directory-lock.ts';
import { type EmbeddedStore, openEmbeddedStore } from '@waybill/shared/store/embedded.ts';
import { pgliteVersion } from '@waybill/shared/store/open-embedded.ts';
import { readPrepared, writePrepared } from '@waybill/shared/store/prepared.ts';

/** A new cluster costs three seconds of CPU, and a dump of one costs one: it is kept between tests, as the product does. */
const cacheDirectory = fileURLToPath(new URL('../../node_modules/.cache/waybill', import.meta.url));
const key = `empty-${pgliteVersion}`;

export async function openLockedStore({ directory }: { directory: string }): Promise<EmbeddedStore> {
  const lock = await lockDirectory(directory);
  const path = join(directory, 'postgres');
  const isNew = !existsSync(path);
  const prepared = isNew ? await readPrepared(cacheDirectory, key) : undefined;
  const store = await openEmbeddedStore({ path, prepared, onClose: () => lock.release() });
  if (isNew && prepared === undefined) await writePrepared(cacheDirectory, key, store.pglite);
  return store;
}

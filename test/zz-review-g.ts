import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
const [,, dir, cache] = process.argv;
const db = await openEmbeddedDatabase({ directory: dir!, cacheDirectory: cache === 'none' ? null : cache! });
console.log('open', (await db.pool.query('select count(*) from waybill.jobs')).rows);
await db.close();

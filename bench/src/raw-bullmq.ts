/** The comparison: BullMQ alone, adding and processing empty jobs, in a process of its own. Told how many over IPC. */
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const connection = new Redis(process.argv[2] ?? '', { maxRetriesPerRequest: null });
const concurrency = Number(process.argv[3]);
const queue = new Queue('raw', {
  connection,
  defaultJobOptions: { removeOnComplete: { age: 3_600, count: 1_000 }, removeOnFail: { count: 1_000 } },
});
let left = 0;
let done = () => undefined as unknown;
const worker = new Worker('raw', async () => undefined, { connection, concurrency });
worker.on('completed', () => {
  left -= 1;
  if (left === 0) done();
});
await worker.waitUntilReady();

process.on('message', async (jobs: number) => {
  left = jobs;
  const finished = new Promise<void>((resolve) => {
    done = () => resolve();
  });
  // One by one, as requests come in, `concurrency` of them at a time.
  let next = 0;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (next++ < jobs) await queue.add('empty', {});
    }),
  );
  await finished;
  process.send?.('done');
});
process.send?.('ready');

/** Breakers on Redis: the states are texts to it, and are swapped by version. */
import { splitTarget } from '../../domain/job.ts';
import { toReading, writeState } from '../breaker-text.ts';
import { type Coordination, retryBudget } from '../coordination.ts';
import type { Store } from './redis-store.ts';
import * as scripts from './scripts.ts';

type Breakers = Pick<Coordination, 'readBreaker' | 'swapBreaker' | 'resetBreaker' | 'takeRetry' | 'returnRetry'>;

export function createBreakers(store: Store): Breakers {
  const keysOf = (target: string): string[] => {
    const { provider } = splitTarget(target);
    return ['breakers', 'outcomes', 'usual'].map((name) => store.key(provider, name));
  };
  return {
    async readBreaker(target, windowMs) {
      return toReading(target, (await store.run(scripts.readBreaker, keysOf(target), [target, windowMs])) as string[]);
    },
    async swapBreaker({ target, version }, next, endedProbe) {
      const args = [target, version, writeState(next) ?? '', endedProbe ?? ''];
      return (await store.run(scripts.swapBreaker, keysOf(target), args)) === 1;
    },
    async resetBreaker(target) {
      await store.run(scripts.resetBreaker, keysOf(target), [target]);
    },
    async returnRetry(provider) {
      await store.run(scripts.returnRetry, [store.key(provider, 'retries')], []);
    },
    async takeRetry(provider) {
      const args = [retryBudget.perSecond, retryBudget.most];
      return Number(await store.run(scripts.takeRetry, [store.key(provider, 'retries')], args));
    },
  };
}

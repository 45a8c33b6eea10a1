/** A breaker's state as the text that the stores keep, and what they counted as numbers. */
import type { BreakerCounts, BreakerState } from '../routing/breaker.ts';
import type { BreakerReading, UsualCalls } from './coordination.ts';

/** null: closed, which is nothing to keep. */
export const writeState = (state: BreakerState): string | null =>
  state.kind === 'closed' ? null : JSON.stringify(state);

/** What the store holds was written by us; a `null` that a store left out is one. */
export function readState(text: string): BreakerState {
  if (text === '') return { kind: 'closed' };
  const state = JSON.parse(text) as BreakerState;
  return state.kind === 'open' ? { ...state, untilMs: state.untilMs ?? null } : state;
}

/** @param text answers, failures, ms of answers, as they have faded until now */
function readUsual(text: string): BreakerCounts['usual'] {
  const [ok = 0, failed = 0, latencyMs = 0] = text.split(' ').map(Number);
  return { ok, failed, latencyMs };
}

export function toUsual(text: string): UsualCalls {
  const { ok, failed, latencyMs } = readUsual(text);
  // What has faded to less than half a call says nothing any more.
  return {
    latencyMs: ok < 0.5 ? null : latencyMs / ok,
    reliability: ok + failed < 0.5 ? null : ok / (ok + failed),
  };
}

/** As the stores answer it: version, state, failures in a row, answers, failures, ms of answers, what is usual. */
export function toReading(target: string, fields: readonly string[]): BreakerReading {
  const [version, state = '', consecutive, ok, failed, latencyMs, usual = ''] = fields;
  return {
    target,
    version: Number(version),
    state: readState(state),
    counts: {
      consecutive: Number(consecutive),
      ok: Number(ok),
      failed: Number(failed),
      latencyMs: Number(latencyMs),
      usual: readUsual(usual),
    },
  };
}

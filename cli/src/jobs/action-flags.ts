/** The flags of `waybill jobs cancel | retry | pause | resume`, and the filter they spell. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { ConnectionFlags } from '../connection.ts';

export interface FilterFlags {
  readonly batch?: string;
  readonly status?: string;
  readonly target?: string;
  readonly provider?: string;
  readonly model?: string;
  readonly metadata?: readonly string[];
  readonly olderThan?: string;
  readonly errorKind?: string;
  readonly all?: boolean;
}

export interface ActionFlags extends ConnectionFlags, FilterFlags {
  readonly setModel?: string;
  readonly yes?: boolean;
}

/** As `POST /v1/jobs/actions` takes it; empty when no filter was given. @throws Problem `invalid_usage` */
export function filterOf(flags: FilterFlags): Record<string, unknown> {
  const filter: Record<string, unknown> = {
    batch_id: flags.batch,
    status: flags.status,
    target: flags.target,
    provider: flags.provider,
    model: flags.model,
    older_than: flags.olderThan,
    error_kind: flags.errorKind,
    all: flags.all,
    metadata: flags.metadata === undefined ? undefined : Object.fromEntries(flags.metadata.map(pairOf)),
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

/** A `--metadata key=value`; the value may be empty. @throws Problem `invalid_usage` */
export function pairOf(pair: string): [string, string] {
  const at = pair.indexOf('=');
  if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
  throw new Problem('invalid_usage', `Cannot use --metadata "${pair.slice(0, 60)}": write key=value`);
}

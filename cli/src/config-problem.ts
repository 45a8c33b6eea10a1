/** Faults of the configuration, as the shell is told of them. */
import { Problem } from '@waybill/shared/domain/problem.ts';

/** To the shell, any fault of the configuration is one of the configuration, whatever the single fault is called. */
export function asConfigProblem(cause: unknown): never {
  if (!(cause instanceof Problem) || cause.code === 'file_unreadable') throw cause;
  throw new Problem('invalid_config', cause.message, { param: cause.param, cause });
}

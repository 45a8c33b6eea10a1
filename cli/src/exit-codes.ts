/** What the command says to the shell, after sysexits.h where that has a word for it. */
import { ApiError, UnreachableError } from '@waybill/producer/client/client.ts';
import { Problem, type ProblemCode } from '@waybill/shared/domain/problem.ts';

export const exitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  noInput: 66,
  unavailable: 69,
  noPermission: 77,
  config: 78,
  interrupted: 130,
} as const;

const ofProblem: Partial<Record<ProblemCode, number>> = {
  invalid_usage: exitCode.usage,
  invalid_url: exitCode.usage,
  invalid_idempotency_key: exitCode.usage,
  missing_api_key: exitCode.noPermission,
  invalid_api_key: exitCode.noPermission,
  data_dir_locked: exitCode.usage,
  port_in_use: exitCode.usage,
  file_unreadable: exitCode.noInput,
  invalid_config: exitCode.config,
  not_supported_yet: exitCode.config,
  server_unreachable: exitCode.unavailable,
  redis_unsafe: exitCode.config,
  redis_unavailable: exitCode.unavailable,
  database_unavailable: exitCode.unavailable,
  database_too_old: exitCode.config,
  schema_newer: exitCode.config,
  clock_skew: exitCode.config,
  master_key_mismatch: exitCode.config,
};

export function exitCodeOf(error: unknown): number {
  if (error instanceof Problem && error.code === 'file_unreadable' && isDenied(error.cause))
    return exitCode.noPermission;
  if (error instanceof Problem) return ofProblem[error.code] ?? exitCode.failed;
  if (error instanceof UnreachableError) return exitCode.unavailable;
  if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return exitCode.noPermission;
  return exitCode.failed;
}

const isDenied = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && (cause.code === 'EACCES' || cause.code === 'EPERM');

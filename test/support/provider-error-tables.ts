/** What a provider's errors mean, as tables for its page: from the error tables, the failure rules and the decision itself. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInThisContext } from 'node:vm';
import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import {
  type FailureKind,
  type FailureRule,
  failureKinds,
  failureRule,
  pauseOf,
} from '@waybill/shared/domain/failure.ts';
import { errorRows as azureRows } from '@waybill/shared/providers/azure-openai/errors.ts';
import { errorRows as cohereRows } from '@waybill/shared/providers/cohere/errors.ts';
import { type ErrorRow, statusRows } from '@waybill/shared/providers/error-body.ts';
import { errorRows as geminiRows } from '@waybill/shared/providers/gemini/errors.ts';
import { rowsByProvider, errorRows as sharedRows } from '@waybill/shared/providers/openai/errors.ts';
import type { Preset } from '@waybill/shared/providers/presets.ts';
import { decide } from '@waybill/shared/routing/decide.ts';
import { projectRoot } from './source-tree.ts';

export const code = (text: string | number): string => `\`${text}\``;
export const codes = (texts: readonly (string | number)[]): string => texts.map(code).join(' ');
const cell = (text: string): string => text.replaceAll('|', '\\|');
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');

/** The table of a dialect that keeps it to itself, read from its source. */
function rowsInSource(dialect: string): readonly ErrorRow[] {
  const path = `shared/src/providers/${dialect}/errors.ts`;
  const [, list] =
    /const errorRows: readonly ErrorRow\[\] = (\[\n.*?\n\]);\n/s.exec(readFileSync(join(projectRoot, path), 'utf8')) ??
    [];
  if (list === undefined) throw new Error(`Cannot find the error table in ${path}`);
  return runInThisContext(list) as ErrorRow[];
}

const shared = new Set(sharedRows);
const ownRows: Readonly<Record<string, readonly ErrorRow[]>> = {
  ...rowsByProvider,
  'azure-openai': azureRows.filter((row) => !shared.has(row)),
  anthropic: rowsInSource('anthropic'),
  ollama: rowsInSource('ollama'),
  gemini: geminiRows,
  cohere: cohereRows,
  'lm-studio': [],
  'openai-compatible': [],
};

/** How a provider calls the three words that a row looks at. */
const wordsOf: Readonly<Record<string, readonly [code: string, type: string, detail: string]>> = {
  gemini: ['reason', 'status', 'quota'],
  anthropic: ['code', 'type', 'error_code'],
  openrouter: ['code', 'error_type', 'limit_source'],
};

function signal(row: ErrorRow, id: string): string {
  const [codeWord, typeWord, detailWord] = wordsOf[id] ?? ['code', 'type', 'detail'];
  const parts = [
    row.status ? codes(row.status) : '',
    row.code ? `${codeWord} ${codes(row.code)}` : '',
    row.type ? `${typeWord} ${codes(row.type)}` : '',
    row.detail ? `${detailWord} ${codes(row.detail)}` : '',
    row.detailPrefix ? `${detailWord} beginning with ${code(row.detailPrefix)}` : '',
    row.text ? `text ${code(row.text.source)}` : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}

const times = (retries: number | null): string =>
  retries === null ? 'retries (`same_target_retries`)' : retries === 1 ? 'one retry' : `${retries} retries`;

function action(kind: FailureKind, { action: first, waiting, retries }: FailureRule): string {
  const elsewhere = triesElsewhere(kind) ? 'another credential; ' : '';
  if (kind === 'model_loading') return 'waits up to 5 min, then falls back';
  if (waiting && first === 'retry') return `${elsewhere}waits up to \`on_limit\`, then falls back`;
  if (first === 'retry') return `${times(retries)}, then falls back`;
  if (first === 'succeed') return 'succeeds, `finish_reason: content_filter`';
  return first === 'fail' ? 'fails' : `${elsewhere}falls back`;
}

/** Whether the same target is tried at once with another credential or account, where there is one. */
const triesElsewhere = (kind: FailureKind): boolean => {
  const target = 'provider/model';
  const decision = decide({
    failure: { kind, message: '', httpStatus: null, retryAfterMs: null },
    target,
    policy: { ...chainOfTarget(target), onLimitMs: null },
    candidates: [{ target, kind: 'eligible' }],
    history: [],
    nowMs: 0,
    deadlineAtMs: 3_600_000,
    random: 0.5,
    isOpenElsewhere: true,
    retryInMs: 0,
    action: null,
  });
  return decision.kind === 'retry' && decision.delayMs === 0;
};

const scopes: Readonly<Record<string, string>> = {
  provider: 'provider',
  model: 'model',
  endpoint: 'address',
  account: 'account',
  account_model: 'model at the account',
  credential: 'credential',
  credential_model: 'model for the credential',
};

const spanOf = (ms: number): string => (ms % 3_600_000 === 0 ? `${ms / 3_600_000} h` : `${ms / 60_000} min`);

const pauseText = (row: Pick<ErrorRow, 'kind' | 'scope'>): string => {
  const pause = pauseOf(row);
  return pause === null ? '' : `${scopes[pause.scope]}, ${spanOf(pause.ms)}`;
};

const consequence = (row: Pick<ErrorRow, 'kind' | 'scope'>): string[] => {
  const rule = failureRule(row.kind);
  return [code(row.kind), action(row.kind, rule), rule.counts ? 'yes' : 'no', pauseText(row)];
};

const head = ['kind', 'then', 'counts', 'paused'] as const;

export function errors({ id, dialect }: Preset): string {
  const own = ownRows[id] ?? [];
  const isShown = own.length > 0 || dialect !== 'openai';
  const first = isShown ? own : (rowsByProvider.openai ?? []);
  const decided = new Set(first.filter(isByStatusAlone).flatMap(({ status }) => status ?? []));
  const rest = statusRows.map((row) => ({ ...row, status: row.status?.filter((each) => !decided.has(each)) ?? [] }));
  return table(
    ['signal', ...head],
    [
      ...first.map((row) => [signal(row, id), ...consequence(row)]),
      ...rest
        .filter(({ status }) => status.length > 0)
        .map((row) => [`any other ${codes(row.status)}`, ...consequence(row)]),
    ],
  );
}

const isByStatusAlone = (row: ErrorRow): boolean =>
  !row.code && !row.type && !row.detail && !row.detailPrefix && !row.text;

export const kinds = (): string =>
  table(
    [...head],
    failureKinds.map((kind) => consequence({ kind })),
  );

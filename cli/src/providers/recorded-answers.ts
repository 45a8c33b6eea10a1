/**
 * The shapes of providers' answers, kept in a folder: one file per provider and model, written the first time and compared
 * from then on. It takes one real call of one token each, which may be billed.
 */
import { access, constants, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { compareShapes, type Shape, type ShapeChange, shapeOf } from './answer-shape.ts';
import type { Question } from './configured.ts';
import type { FindingJson } from './drift.ts';
import { callOnce } from './one-token-call.ts';

export type AnswerCheck =
  /** @property isNew the shape was recorded now: there was nothing to compare it with */
  { readonly kind: 'compared'; readonly findings: readonly FindingJson[]; readonly isNew: boolean } | Failed;

interface Failed {
  readonly kind: 'failed';
  readonly problem: string;
  readonly remedy: string;
}

export async function checkAnswer(
  question: Question,
  model: string,
  folder: string,
  signal: AbortSignal,
): Promise<AnswerCheck> {
  const { provider } = question;
  // Escaped, not replaced: "a/b" and "a_b" are two models with a record each.
  const file = join(folder, `${provider.id}--${encodeURIComponent(model)}.json`);
  // Before the call, which may be billed: an answer that can be neither compared nor kept is not worth it.
  const record = await readRecord(file);
  if (record.kind === 'failed') return record;
  let live: Shape | null = null;
  const result = await callOnce(question, model, signal, (body) => {
    live = shapeOf(body);
  });
  if (result.status === 'failed' || live === null)
    return {
      kind: 'failed',
      problem: result.problem ?? 'it answered with nothing to compare',
      remedy: `see "waybill providers test ${provider.id} --call"`,
    };
  if (record.shape === null) return (await writeRecord(file, live)) ?? { kind: 'compared', findings: [], isNew: true };
  const findings = compareShapes(record.shape, live).map((change) => toFinding(change, question, model, file));
  return { kind: 'compared', findings, isNew: false };
}

/** Other models go on without it: what was paid for them is not thrown away. `shape` null: nothing was recorded yet. */
async function readRecord(file: string): Promise<Failed | { readonly kind: 'read'; readonly shape: Shape | null }> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return beginRecord(file);
    return unusable('read', file, error);
  }
  try {
    return { kind: 'read', shape: asShape((JSON.parse(text) as { shape?: unknown }).shape) };
  } catch {
    const remedy = 'remove it, and the next run records it anew';
    return { kind: 'failed', problem: `Cannot read the recorded answer ${file}: it is no record`, remedy };
  }
}

/** Whether it can be kept is seen before there is anything to keep. */
async function beginRecord(file: string): Promise<Failed | { readonly kind: 'read'; readonly shape: null }> {
  try {
    await mkdir(dirname(file), { recursive: true });
    await access(dirname(file), constants.W_OK);
    return { kind: 'read', shape: null };
  } catch (error) {
    return unusable('write', file, error);
  }
}

function unusable(action: 'read' | 'write', file: string, error: unknown): Failed {
  const { code = String(error) } = error as NodeJS.ErrnoException;
  const problem = `Cannot ${action} the recorded answer ${file}: ${code}`;
  return { kind: 'failed', problem, remedy: 'name a folder with --recorded that can be read and written' };
}

function asShape(value: unknown): Shape {
  if (typeof value !== 'object' || value === null) throw new Error('there is no shape');
  if (Object.values(value).some((type) => typeof type !== 'string')) throw new Error('a type is no text');
  return value as Shape;
}

/** null: it is written. */
async function writeRecord(file: string, shape: Shape): Promise<Failed | null> {
  const record = { recorded_at: new Date().toISOString(), shape };
  try {
    await writeFile(file, `${JSON.stringify(record, null, 2)}\n`);
    return null;
  } catch (error) {
    return unusable('write', file, error);
  }
}

/** What is gone or of another type may be read wrongly; what is new is not read at all. */
function toFinding(change: ShapeChange, { provider, endpoint }: Question, model: string, file: string): FindingJson {
  const path = change.path === '' ? 'the whole answer' : change.path;
  const detail = {
    field_gone: `${path} is no longer sent`,
    field_new: `${path} is new`,
    type_changed: change.kind === 'type_changed' ? `${path} was ${change.from} and is ${change.to}` : '',
  }[change.kind];
  return {
    provider: provider.id,
    endpoint,
    severity: change.kind === 'field_new' ? 'warning' : 'error',
    kind: `answer_${change.kind}`,
    model,
    detail,
    remedy: `see what changed at the provider; then remove ${file}, and the next run records it anew`,
  };
}

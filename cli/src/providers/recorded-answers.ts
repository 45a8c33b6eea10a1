/**
 * The shapes of providers' answers, kept in a folder: one file per provider and model, written the first time and compared
 * from then on. It takes one real call of one token each, which may be billed.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { compareShapes, type Shape, type ShapeChange, shapeOf } from './answer-shape.ts';
import type { Question } from './configured.ts';
import type { FindingJson } from './drift.ts';
import { callOnce } from './one-token-call.ts';

export type AnswerCheck =
  /** @property isNew the shape was recorded now: there was nothing to compare it with */
  | { readonly kind: 'compared'; readonly findings: readonly FindingJson[]; readonly isNew: boolean }
  | { readonly kind: 'failed'; readonly problem: string };

export async function checkAnswer(
  question: Question,
  model: string,
  folder: string,
  signal: AbortSignal,
): Promise<AnswerCheck> {
  let live: Shape | null = null;
  const result = await callOnce(question, model, signal, (body) => {
    live = shapeOf(body);
  });
  if (result.status === 'failed' || live === null)
    return { kind: 'failed', problem: result.problem ?? 'it answered with nothing to compare' };
  const file = join(folder, `${question.provider.id}--${model.replaceAll(/[^A-Za-z0-9._-]/g, '_')}.json`);
  const recorded = await readRecord(file);
  if (recorded === null) {
    await writeRecord(folder, file, live);
    return { kind: 'compared', findings: [], isNew: true };
  }
  const findings = compareShapes(recorded, live).map((change) => toFinding(change, question, model, file));
  return { kind: 'compared', findings, isNew: false };
}

/** @throws Problem `file_unreadable`; null: nothing was recorded yet. */
async function readRecord(file: string): Promise<Shape | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new Problem('file_unreadable', `Cannot read the recorded answer ${file}`, { cause: error });
  }
  try {
    return asShape((JSON.parse(text) as { shape?: unknown }).shape);
  } catch (error) {
    throw new Problem('file_unreadable', `Cannot read the recorded answer ${file}: it is no record; remove it`, {
      cause: error,
    });
  }
}

function asShape(value: unknown): Shape {
  if (typeof value !== 'object' || value === null) throw new Error('there is no shape');
  if (Object.values(value).some((type) => typeof type !== 'string')) throw new Error('a type is no text');
  return value as Shape;
}

async function writeRecord(folder: string, file: string, shape: Shape): Promise<void> {
  await mkdir(folder, { recursive: true });
  const record = { recorded_at: new Date().toISOString(), shape };
  await writeFile(file, `${JSON.stringify(record, null, 2)}\n`);
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

/**
 * What an attempt asks for and gets, whichever endpoint its job is for. The rest of an attempt knows only this.
 */
import type { Turn } from '@waybill/shared/chat/conversation.ts';
import type { ChainSettings } from '@waybill/shared/config/settings.ts';
import type { Failure, FailureAction } from '@waybill/shared/domain/failure.ts';
import type { Usage } from '@waybill/shared/domain/usage.ts';
import type { Dialect, Reader, ReadResult, Wire, WriteResult } from '@waybill/shared/providers/dialect.ts';
import type { GoesOnFrom } from './begin-telling.ts';
import type { Carried } from './carried.ts';

export interface Delivery {
  readonly model: string | null;
  readonly providerId: string | null;
  readonly usage: Usage | null;
  readonly warnings: readonly string[];
  readonly finishReasons: readonly string[];
  /** Why it is not what was asked for; `action` where the chain says more than the kind does. null: it is. */
  readonly fault: { readonly failure: Failure; readonly action?: FailureAction } | null;
  /** It is a part of the answer, and the next attempt goes on from this; null: it is whole. */
  readonly carried: Carried | null;
  /** What could be gone on from if it had broken here; null: nothing worth keeping. */
  readonly kept: Carried | null;
  /** The job's output as JSON text. */
  output(context: { jobId: string; createdAtMs: number }): string;
}

export interface WireInput extends Wire {
  readonly target: string;
  readonly contextWindow: number | null;
  readonly nowMs: number;
}

/** One attempt's side of a job: it writes the request for a dialect, and judges what comes back. */
export interface Work {
  readonly operation: 'chat' | 'embeddings';
  readonly isStreamed: boolean;
  /** Its pieces are told to whoever reads the job's stream; null: nobody asked for that. */
  readonly told: { readonly goesOnFrom: GoesOnFrom | null } | null;
  write(dialect: Dialect, wire: WireInput): WriteResult<Delivery>;
}

export interface WorkInput {
  readonly target: string;
  readonly chain: ChainSettings;
  readonly carried: Carried | null;
  /** What was said before in the job's conversation. */
  readonly turns: readonly Turn[];
  /** Of the target; null: not known. */
  readonly windowTokens: number | null;
}

/** The same reader, of something made from what it reads. */
export function mapReader<A, B>(reader: Reader<A>, map: (answer: A) => B): Reader<B> {
  const mapResult = (result: ReadResult<A>): ReadResult<B> => {
    if (result.kind === 'answer') return { kind: 'answer', answer: map(result.answer) };
    const { partial, ...failed } = result;
    return partial === undefined ? failed : { ...failed, partial: map(partial) };
  };
  return {
    readAnswer: (body) => mapResult(reader.readAnswer(body)),
    createStreamReader(onPiece) {
      const pieces = reader.createStreamReader(onPiece);
      return {
        push: (text) => pieces.push(text),
        end: () => mapResult(pieces.end()),
        partial: () => map(pieces.partial()),
      };
    },
  };
}

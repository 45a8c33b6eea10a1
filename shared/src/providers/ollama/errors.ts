/** Ollama's error table: plain texts, so texts it must be. */
import { type ErrorRow, errorReader, insideReader } from '../error-body.ts';

const errorRows: readonly ErrorRow[] = [
  {
    text: /does not support|missing capabilities|invalid think value/,
    kind: 'unsupported_feature',
  },
  // It says so only where it may neither cut the prompt nor slide its window.
  { text: /context length|exceeds the available context/, kind: 'context_length' },
  // Before its model is not found: a runner that ended says `error loading model`, and waiting does not mend it.
  {
    status: [500],
    text: /out of memory|more system memory|runner process|unable to (?:load model|allocate)|error loading model|cuda error|while running the model/,
    kind: 'server_error',
    scope: 'model',
  },
  { text: /model .{0,120}not found/, kind: 'model_not_found' },
  { text: /maximum pending requests exceeded|server busy/, kind: 'overloaded' },
  { status: [503], text: /loading model/, kind: 'model_loading' },
  // Models of its cloud may be switched off on a server that serves others.
  { status: [403], kind: 'permission', scope: 'model' },
];

export const readError = errorReader(errorRows);

/** An error on a line of a stream, or in an answer of status 200: most come from the runner. */
export const failureInAnswer = insideReader(errorRows, () => 500);

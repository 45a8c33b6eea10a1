/**
 * Azure's error table: what differs from OpenAI, and then OpenAI's own.
 *
 * Its gateway answers with the status as the code (`"401"`, `"404"`, `"429"`), its filter with an error in the error.
 */
import { type ErrorRow, errorReader } from '../error-body.ts';
import { errorRows as openaiRows } from '../openai/errors.ts';

export const errorRows: readonly ErrorRow[] = [
  { code: ['content_filter', 'responsibleaipolicyviolation'], kind: 'content_filter' },
  // The code above it varies, and may be missing.
  { detail: ['responsibleaipolicyviolation'], kind: 'content_filter' },
  // Whatever the code: the key, the subscription or the role.
  { status: [401], kind: 'auth' },
  { status: [404], code: ['deploymentnotfound'], kind: 'model_not_found' },
  // No deployment is missing here: the path or the version is wrong.
  { status: [404], code: ['404'], kind: 'config' },
  { status: [400], text: /api.version.{0,40}not supported|only for api versions/, kind: 'config' },
  // A model of another kind, or a field this version does not know: another target may.
  { status: [400], code: ['operationnotsupported'], kind: 'unsupported_feature' },
  { status: [400], text: /unrecognized request argument/, kind: 'unsupported_feature' },
  { status: [429], code: ['429', 'ratelimitreached', 'too_many_requests'], kind: 'rate_limit' },
  ...openaiRows,
];

export const readError = errorReader(errorRows);

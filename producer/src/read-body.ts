/**
 * Reads a JSON body strictly: type, charset, encoding, size, UTF-8, structure. Every refusal has its own code.
 *
 * Express's own JSON parser takes UTF-16, replaces invalid bytes without a word, and skips a body of another type.
 */
import { decodeUtf8, parseJsonObject } from '@waybill/shared/domain/json-text.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';

export const maxBodyBytes = 32 * 1024 * 1024;
const encodings = ['identity', 'gzip', 'deflate', 'br'];

const readRaw = express.raw({ type: () => true, limit: maxBodyBytes, inflate: true });

/** Leaves the bytes in `request.body`; throws what a caller can act on. */
export const readBody: RequestHandler = (request: Request, response: Response, next: NextFunction) => {
  checkEncoding(request);
  // Before a byte is read: the parser would swallow the whole body before it says no.
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge();
  readRaw(request, response, (error?: unknown) => (error ? next(toProblem(error)) : next()));
};

function checkEncoding(request: Request): void {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (!encodings.includes(encoding)) {
    throw new Problem(
      'unsupported_encoding',
      `Cannot read the body: Content-Encoding is "${encoding.slice(0, 40)}", expected one of ${encodings.join(', ')}`,
      { param: 'content-encoding' },
    );
  }
}

const tooLarge = (): Problem =>
  new Problem(
    'payload_too_large',
    `Cannot read the body: it is larger than ${maxBodyBytes} bytes. Send fewer jobs at once`,
  );

function toProblem(error: unknown): Problem {
  const type = error instanceof Error && 'type' in error ? String(error.type) : '';
  if (type === 'entity.too.large') return tooLarge();
  if (type === 'encoding.unsupported')
    return new Problem('unsupported_encoding', 'Cannot read the body: its Content-Encoding is not supported');
  return new Problem('invalid_encoding', 'Cannot read the body: it was cut off, or its compression is damaged', {
    cause: error,
  });
}

/** The JSON object of the body. @throws Problem, one code per fault */
export function jsonBody(request: Request): Record<string, unknown> {
  const body: unknown = request.body;
  if (!Buffer.isBuffer(body) || body.length === 0)
    throw new Problem('body_required', 'Cannot read the request: it has no body. Send a JSON object');
  const [type = '', ...parameters] = (request.headers['content-type'] ?? '')
    .split(';')
    .map((part) => part.trim().toLowerCase());
  if (type !== 'application/json') {
    throw new Problem(
      'unsupported_media_type',
      `Cannot read the body: Content-Type is "${type.slice(0, 60)}", expected application/json`,
      { param: 'content-type' },
    );
  }
  const charset = parameters
    .find((parameter) => parameter.startsWith('charset='))
    ?.slice('charset='.length)
    .replaceAll('"', '');
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    throw new Problem(
      'unsupported_charset',
      `Cannot read the body: the charset is "${charset.slice(0, 40)}", expected utf-8`,
      { param: 'content-type' },
    );
  }
  const text = decodeUtf8(body);
  if (text.trim() === '')
    throw new Problem('body_required', 'Cannot read the request: its body is empty. Send a JSON object');
  return parseJsonObject(text);
}

/** Routes of the design that this version does not have: named as such, so that nobody looks for a typing error. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import { type RequestHandler, Router } from 'express';

const laterPaths = [
  '/v1/chat/completions',
  '/v1/embeddings',
  '/v1/models{/*rest}',
  '/v1/files{/*rest}',
  '/v1/batches{/*rest}',
  '/v1/responses{/*rest}',
  '/v1/messages{/*rest}',
  '/v1/webhook-endpoints{/*rest}',
  '/v1/webhook-deliveries{/*rest}',
  '/admin/v1{/*rest}',
  '/metrics',
];

export function notBuiltRouter(): Router {
  const router = Router({ caseSensitive: true });
  router.all(laterPaths, notBuilt);
  return router;
}

const notBuilt: RequestHandler = (request) => {
  const path = `${request.baseUrl}${request.path}`;
  throw new Problem('not_supported_yet', `Cannot use ${path.slice(0, 100)}: this version does not have it yet`);
};

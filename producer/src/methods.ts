/** Answers a path that exists with the methods it has. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { RequestHandler } from 'express';

export const onlyMethods =
  (...methods: readonly string[]): RequestHandler =>
  (request, response) => {
    response.set('allow', methods.join(', '));
    throw new Problem('method_not_allowed', `Cannot ${request.method} this path: it takes ${methods.join(', ')}`);
  };

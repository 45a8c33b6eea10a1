/**
 * The HTTP application: request ids, one trace per request, strict borders, JSON errors only.
 *
 * Nothing here reads `Host`: no address is made from it, and no decision depends on it.
 */
import { newId } from '@waybill/shared/domain/ids.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { attribute } from '@waybill/shared/telemetry/names.ts';
import { inSpan, markFailed } from '@waybill/shared/telemetry/tracing.ts';
import express, { type Express, type RequestHandler, type Router } from 'express';
import type { ApiContext } from './api-context.ts';
import { errorHandler } from './problems.ts';
import { adminAuditRouter } from './routes/admin/audit.ts';
import { adminBreakersRouter } from './routes/admin/breakers.ts';
import { adminBudgetsRouter } from './routes/admin/budgets.ts';
import { adminCredentialsRouter } from './routes/admin/credentials.ts';
import { adminProvidersRouter } from './routes/admin/providers.ts';
import { eventsRouter } from './routes/events.ts';
import { healthRouter } from './routes/health.ts';
import { jobsRouter } from './routes/jobs.ts';
import { notBuiltRouter } from './routes/not-built.ts';
import { webhookEndpointsRouter } from './routes/webhook-endpoints.ts';

/** @param mounts further routers, such as the dashboards, at paths of their own */
export function createApp(context: ApiContext, mounts: readonly { path: string; router: Router }[]): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.set('case sensitive routing', true);
  app.use(identify, checkHeaders, traced);
  app.use(healthRouter(context));
  app.use('/v1/jobs', jobsRouter(context));
  app.use('/v1/webhook-endpoints', webhookEndpointsRouter(context));
  app.use('/v1/events', eventsRouter(context));
  app.use('/admin/v1/providers', adminProvidersRouter(context));
  app.use('/admin/v1/credentials', adminCredentialsRouter(context));
  app.use('/admin/v1/breakers', adminBreakersRouter(context));
  app.use('/admin/v1/budgets', adminBudgetsRouter(context));
  app.use('/admin/v1/audit', adminAuditRouter(context));
  for (const { path, router } of mounts) app.use(path, router);
  app.use(notBuiltRouter());
  app.use((request) => {
    throw new Problem('not_found', `Cannot ${request.method} ${request.path.slice(0, 100)}: there is no such path`);
  });
  app.use(errorHandler(context.logger));
  return app;
}

const identify: RequestHandler = (_request, response, next) => {
  const id = newId('req');
  response.locals.requestId = id;
  response.set({
    'x-request-id': id,
    'request-id': id,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  });
  next();
};

const single = new Set(['authorization', 'content-type', 'idempotency-key', 'host', 'content-length']);

/** Node keeps the first of two such headers and drops the second without a word. */
const checkHeaders: RequestHandler = (request, _response, next) => {
  const seen = new Set<string>();
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = (request.rawHeaders[index] ?? '').toLowerCase();
    if (single.has(name) && seen.has(name))
      throw new Problem('duplicate_header', `Cannot read the request: the header "${name}" was sent twice`, {
        param: name,
      });
    seen.add(name);
  }
  if (!/^[A-Za-z0-9.\-_[\]:]{1,255}$/.test(request.headers.host ?? ''))
    throw new Problem('invalid_host', 'Cannot read the request: the Host header is malformed', { param: 'host' });
  next();
};

/** One SERVER span per request of the API; a caller's own trace is not continued, because it would decide our sampling. */
const traced: RequestHandler = (request, response, next) => {
  if (!request.path.startsWith('/v1/')) return next();
  const attributes = { [attribute.httpMethod]: request.method, 'url.path': request.path.slice(0, 200) };
  const work = () =>
    new Promise<void>((resolve) => {
      response.on('close', resolve);
      next();
    });
  void inSpan(request.method, { kind: 'server', attributes, isRoot: true }, async (span) => {
    await work();
    // After an error the router has forgotten its base path, so the route is read from the path itself.
    const route = request.route === undefined ? '' : routeOf(request.originalUrl);
    span.updateName(`${request.method} ${route}`.trimEnd());
    span.setAttributes({ [attribute.httpRoute]: route, [attribute.httpStatus]: response.statusCode });
    if (response.statusCode >= 500) markFailed(span, String(response.statusCode));
  });
};

const routeOf = (url: string): string =>
  (url.split('?')[0] ?? '')
    .replace(/^(\/v1\/jobs)\/(?!(?:bulk|actions|estimate)$)[^/]+/, '$1/:id')
    .replace(/\/$/, '')
    .slice(0, 100);

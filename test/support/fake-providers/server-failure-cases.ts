/** Refusals of those who serve the models of others, of local servers, and of what stands in front of any of them. */
import { limitedError, openaiError, rows } from './failure-case.ts';

const groqCases = rows(
  ['groq'],
  [
    [
      'a call it could not parse',
      400,
      openaiError('Failed to call a function', { code: 'tool_use_failed', failed_generation: '<x>' }),
      'bad_output',
    ],
    [
      'JSON it could not make',
      400,
      openaiError('Failed to generate JSON', { code: 'json_validate_failed' }),
      'bad_output',
    ],
    [
      'too large a request',
      413,
      openaiError('Request too large on tokens per minute (TPM)', { type: 'tokens', code: 'rate_limit_exceeded' }),
      'exceeds_limit',
    ],
    ['too many bytes', 413, openaiError('Request Entity Too Large', { code: 'request_too_large' }), 'too_large'],
    [
      'a minute',
      429,
      limitedError('Rate limit reached on tokens per minute (TPM): try again in 7.66s'),
      'rate_limit',
      { 'retry-after': '8' },
      { retryAfterMs: 8_000 },
    ],
    [
      'a day',
      429,
      limitedError('Rate limit reached on requests per day (RPD). Please try again in 14m24s'),
      'quota_period',
    ],
    ['a tier without room', 498, openaiError('capacity', { code: 'capacity_exceeded' }), 'capacity_tier'],
    ['its own fault', 502, openaiError('bad gateway'), 'server_error'],
  ],
);

const router = (code: number, error_type: string, metadata: object = {}) => ({
  error: { code, message: 'text', metadata: { error_type, ...metadata } },
});
const routerCases = rows(
  ['openrouter'],
  [
    ['too long a prompt', 400, router(400, 'context_length_exceeded'), 'context_length'],
    ['a bill', 402, router(402, 'payment_required'), 'billing'],
    [
      'money in flight',
      402,
      router(402, 'in_flight_budget_exhausted', { limit_source: 'openrouter_in_flight_budget' }),
      'rate_limit',
      { 'retry-after': '4' },
      { retryAfterMs: 4_000 },
    ],
    ['a request beyond the budget', 402, router(402, 'weight_exceeds_budget'), 'exceeds_limit'],
    ['a spent key', 403, router(403, 'permission_denied', { limit_source: 'openrouter_key_limit' }), 'quota_period'],
    [
      'a moderated prompt',
      403,
      router(403, 'permission_denied', { reasons: ['x'], flagged_input: 'y' }),
      'content_filter',
    ],
    ['a wrong key', 401, router(401, 'authentication'), 'auth'],
    ['no endpoint', 404, router(404, 'not_found'), 'model_not_found'],
    ['too many requests', 429, router(429, 'rate_limit_exceeded'), 'rate_limit'],
    ['a provider without room', 529, router(529, 'provider_overloaded'), 'overloaded'],
    ['a provider that is gone', 502, router(502, 'provider_unavailable'), 'server_error'],
    ['a timeout', 524, router(524, 'timeout'), 'timeout'],
    ['an error in a good answer', 200, router(429, 'rate_limit_exceeded'), 'rate_limit'],
  ],
);

const mistralCases = rows(
  ['mistral'],
  [
    [
      'an unknown field',
      422,
      { detail: [{ type: 'extra_forbidden', loc: ['body', 'user'], msg: 'Extra inputs are not permitted' }] },
      'config',
    ],
    ['a wrong key', 401, { detail: 'Unauthorized' }, 'auth'],
    [
      'too many requests',
      429,
      {
        object: 'error',
        message: 'Rate limit exceeded',
        type: 'rate_limited',
        param: null,
        code: '1300',
        raw_status_code: 429,
      },
      'rate_limit',
      { 'retry-after': '1' },
      { retryAfterMs: 1_000 },
    ],
    [
      'its own fault',
      500,
      { object: 'error', message: 'x', type: 'internal_server_error', param: null, code: '1000' },
      'server_error',
    ],
  ],
);

const ollamaCases = rows(
  ['ollama'],
  [
    ['a model it has not', 404, { error: "model 'x' not found" }, 'model_not_found'],
    [
      'a model without tools',
      400,
      { error: 'registry.ollama.ai/library/x does not support tools' },
      'unsupported_feature',
    ],
    ['too long a prompt', 400, { error: 'the input length exceeds the context length' }, 'context_length'],
    ['a broken body', 400, { error: 'json: cannot unmarshal' }, 'invalid_request'],
    ['a cloud model without a sign-in', 401, { error: 'unauthorized', signin_url: 'https://ollama.com' }, 'auth'],
    ['a full queue', 503, { error: 'server busy, please try again.  maximum pending requests exceeded' }, 'overloaded'],
    ['no memory', 500, { error: 'model requires more system memory' }, 'server_error'],
  ],
);

const local = (message: string, type: string, code: unknown) => ({ error: { message, type, code } });
const localCases = [
  ...rows(
    ['localai'],
    [
      [
        'a model that loads',
        503,
        { error: { message: 'loading', type: 'model_loading', code: 'model_loading' }, loading: {} },
        'model_loading',
        { 'retry-after': '5' },
        { retryAfterMs: 5_000 },
      ],
      [
        'no backend',
        503,
        local('no capacity', 'server_error', 503),
        'overloaded',
        { 'retry-after': '2' },
        { retryAfterMs: 2_000 },
      ],
      ['a key', 401, local('An authentication key is required', 'invalid_request_error', 401), 'auth'],
      ['a backend that fails', 500, local('rpc error', 'server_error', 500), 'server_error'],
    ],
  ),
  ...rows(
    ['llama-cpp'],
    [
      ['a model that loads', 503, local('Loading model', 'unavailable_error', 503), 'model_loading'],
      [
        'too long a prompt',
        400,
        {
          error: {
            code: 400,
            message: 'the request exceeds the available context size',
            type: 'exceed_context_size_error',
            n_prompt_tokens: 9,
            n_ctx: 4,
          },
        },
        'context_length',
      ],
      ['a picture without a projector', 501, local('no multimodal', 'not_supported_error', 501), 'unsupported_feature'],
      ['its own fault', 500, local('x', 'server_error', 500), 'server_error'],
    ],
  ),
  ...rows(
    ['lightllm'],
    [
      ['too many requests', 429, local('server busy', 'RateLimitError', 429), 'rate_limit'],
      ['its own fault', 417, local('x', 'Error', 417), 'server_error'],
      [
        'a form it refuses',
        422,
        { detail: [{ loc: ['body', 'reasoning_effort'], msg: 'x', type: 'literal_error' }] },
        'invalid_request',
      ],
      ['that it is not well', 503, local('unhealthy', 'Error', 503), 'overloaded'],
    ],
  ),
  ...rows(
    ['vllm'],
    [
      [
        'too long a prompt',
        400,
        {
          object: 'error',
          message: "This model's maximum context length is 4096 tokens",
          type: 'BadRequestError',
          param: null,
          code: 400,
        },
        'context_length',
      ],
      ['a model it has not', 404, local('The model does not exist.', 'NotFoundError', 404), 'model_not_found'],
      ['a broken request', 400, local('bad', 'BadRequestError', 400), 'invalid_request'],
      ['its own fault', 500, local('x', 'InternalServerError', 500), 'server_error'],
    ],
  ),
];

/** What proxies and gateways say, whoever is behind them. */
const everyone = [
  'openai',
  'anthropic',
  'gemini',
  'azure-openai',
  'cohere',
  'ollama',
  'groq',
  'openrouter',
  'mistral',
  'localai',
  'llama-cpp',
  'lightllm',
  'vllm',
  'lm-studio',
  'openai-compatible',
];
const html = { 'content-type': 'text/html; charset=utf-8' };
const page = '<!DOCTYPE html><html><body>nginx</body></html>';
const proxyCases = rows(everyone, [
  ['a page that is not there', 404, page, 'config', html],
  ['a gateway without a server', 502, page, 'server_error', html],
  ['an overload without a word', 503, '', 'overloaded'],
  ['a limit without a word', 429, '', 'rate_limit', { 'retry-after': '6' }, { retryAfterMs: 6_000 }],
  ['a refusal that is half of JSON', 500, '{"error":{"mess', 'server_error'],
  ['a status nobody knows', 599, 'null', 'server_error'],
  ['a redirect', 302, '', 'unknown', { location: 'https://elsewhere.test/' }],
]);

export const serverFailures = [
  ...groqCases,
  ...routerCases,
  ...mistralCases,
  ...ollamaCases,
  ...localCases,
  ...proxyCases,
];

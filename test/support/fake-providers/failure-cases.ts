/** Refusals of the makers of models, and the kind each is: the tables of the provider reference, row by row. */
import { limitedError, openaiError, rows } from './failure-case.ts';

const broke = (code: string) => openaiError('You exceeded your current quota', { type: 'insufficient_quota', code });

const openaiCases = rows(
  ['openai'],
  [
    [
      'too long a prompt',
      400,
      openaiError('maximum context length', { code: 'context_length_exceeded' }),
      'context_length',
    ],
    [
      'a parameter of another model',
      400,
      openaiError("Unsupported parameter: 'max_tokens'", { code: 'unsupported_parameter', param: 'max_tokens' }),
      'unsupported_feature',
    ],
    [
      'a value of another model',
      400,
      openaiError("Unsupported value: 'temperature'", { code: 'unsupported_value', param: 'temperature' }),
      'unsupported_feature',
    ],
    [
      'tools with reasoning',
      400,
      openaiError(
        'Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions. Please use /v1/responses',
        { param: 'reasoning_effort' },
      ),
      'unsupported_feature',
    ],
    ['a prompt against the policy', 400, openaiError('Invalid prompt', { code: 'invalid_prompt' }), 'content_filter'],
    ['content against the policy', 400, openaiError('flagged', { code: 'content_policy_violation' }), 'content_filter'],
    ['a broken picture', 400, openaiError('bad image', { code: 'invalid_image_url' }), 'invalid_request'],
    ['anything else', 400, openaiError('Something'), 'invalid_request'],
    ['a wrong key', 401, openaiError('Incorrect API key', { code: 'invalid_api_key' }), 'auth'],
    [
      'a country',
      403,
      openaiError('Country, region, or territory not supported', {
        type: 'request_forbidden',
        code: 'unsupported_country_region_territory',
      }),
      'region',
    ],
    [
      'a project without the model',
      403,
      openaiError('Project does not have access to model', { code: 'model_not_found' }),
      'permission',
    ],
    [
      'a model nobody has',
      404,
      openaiError('The model does not exist', { code: 'model_not_found' }),
      'model_not_found',
    ],
    [
      'too many requests',
      429,
      limitedError('Rate limit reached'),
      'rate_limit',
      { 'retry-after': '2' },
      { retryAfterMs: 2_000 },
    ],
    [
      'too many requests, in milliseconds',
      429,
      limitedError('Rate limit reached'),
      'rate_limit',
      { 'retry-after': '9', 'retry-after-ms': '1500' },
      { retryAfterMs: 1_500 },
    ],
    [
      'too many tokens, by the reset',
      429,
      limitedError('Rate limit reached', { type: 'tokens' }),
      'rate_limit',
      { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '1m2.5s' },
      { retryAfterMs: 62_500 },
    ],
    [
      'too many tokens, by the text',
      429,
      limitedError('Please try again in 1.2s', { type: 'tokens' }),
      'rate_limit',
      {},
      { retryAfterMs: 1_200 },
    ],
    [
      'a request that never fits',
      429,
      limitedError('Request too large for gpt-4.1 on tokens per min', { type: 'tokens' }),
      'exceeds_limit',
    ],
    ['an empty account', 429, broke('insufficient_quota'), 'billing'],
    ['a spent balance', 429, broke('credit_balance_exhausted'), 'billing'],
    ['a spend limit', 429, broke('project_spend_limit_exceeded'), 'billing'],
    ['its own fault', 500, openaiError('The server had an error', { type: 'server_error' }), 'server_error'],
    ['an overload', 503, openaiError('Slow down', { type: 'server_error' }), 'overloaded'],
    ['a timeout', 408, openaiError('timeout'), 'timeout'],
  ],
);

const anthropic = (type: string, message = 'text', details?: object) => ({
  type: 'error',
  error: { type, message, ...(details === undefined ? {} : { details }) },
  request_id: 'req_1',
});
const anthropicCases = rows(
  ['anthropic'],
  [
    [
      'too long a prompt',
      400,
      anthropic('invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum'),
      'context_length',
    ],
    [
      'a balance too low',
      400,
      anthropic('invalid_request_error', 'Your credit balance is too low to access the Anthropic API.'),
      'billing',
    ],
    [
      'an organization on hold',
      400,
      anthropic('invalid_request_error', 'on hold', { error_code: 'organization_on_hold' }),
      'auth',
    ],
    ['anything else', 400, anthropic('invalid_request_error', 'messages.0: bad'), 'invalid_request'],
    ['a wrong key', 401, anthropic('authentication_error'), 'auth'],
    ['a bill', 402, anthropic('billing_error'), 'billing'],
    ['a permission', 403, anthropic('permission_error'), 'permission'],
    ['a model nobody has', 404, anthropic('not_found_error'), 'model_not_found'],
    ['too many bytes', 413, anthropic('request_too_large'), 'too_large'],
    [
      'too many requests',
      429,
      anthropic('rate_limit_error'),
      'rate_limit',
      { 'retry-after': '3' },
      { retryAfterMs: 3_000 },
    ],
    ['a ramp', 429, anthropic('rate_limit_error', 'grew', { error_code: 'ramp_limit_exceeded' }), 'rate_limit'],
    [
      'a spend limit',
      429,
      anthropic('rate_limit_error', 'limit', { error_code: 'enforced_spend_limit_reached' }),
      'billing',
    ],
    ['its own fault', 500, anthropic('api_error'), 'server_error'],
    ['a key it cannot reach', 503, anthropic('api_error', 'x', { error_code: 'cmek_key_unreachable' }), 'server_error'],
    ['a timeout', 504, anthropic('timeout_error'), 'timeout'],
    ['an overload', 529, anthropic('overloaded_error'), 'overloaded'],
  ],
);

const gemini = (code: number, status: string, message = 'text', details: readonly object[] = []) => ({
  error: { code, status, message, details },
});
const quota = (quotaId: string, quotaValue = '10', retryDelay = '22s') => [
  { '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [{ quotaMetric: 'm', quotaId, quotaValue }] },
  { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay },
];
const badKey = [
  { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID', domain: 'googleapis.com' },
];
const geminiCases = rows(
  ['gemini'],
  [
    ['a wrong key', 400, gemini(400, 'INVALID_ARGUMENT', 'API key not valid.', badKey), 'auth'],
    ['a region', 400, gemini(400, 'FAILED_PRECONDITION', 'User location is not supported for the API use.'), 'region'],
    [
      'too long a prompt',
      400,
      gemini(400, 'INVALID_ARGUMENT', 'The input token count exceeds the maximum number of tokens allowed'),
      'context_length',
    ],
    ['anything else', 400, gemini(400, 'INVALID_ARGUMENT', 'bad'), 'invalid_request'],
    ['a spent balance', 402, gemini(402, 'RESOURCE_EXHAUSTED'), 'billing'],
    ['a permission', 403, gemini(403, 'PERMISSION_DENIED'), 'permission'],
    ['a model nobody has', 404, gemini(404, 'NOT_FOUND'), 'model_not_found'],
    [
      'too many requests in a minute',
      429,
      gemini(429, 'RESOURCE_EXHAUSTED', 'x', quota('GenerateRequestsPerMinutePerProject')),
      'rate_limit',
      {},
      { retryAfterMs: 22_000 },
    ],
    [
      'too many requests in a day',
      429,
      gemini(429, 'RESOURCE_EXHAUSTED', 'x', quota('GenerateRequestsPerDayPerProject')),
      'quota_period',
    ],
    [
      'a limit of none',
      429,
      gemini(429, 'RESOURCE_EXHAUSTED', 'x', quota('GenerateRequestsPerMinute', '0')),
      'permission',
    ],
    ['its own fault', 500, gemini(500, 'INTERNAL'), 'server_error'],
    ['an overload', 503, gemini(503, 'UNAVAILABLE'), 'overloaded'],
    ['a timeout', 504, gemini(504, 'DEADLINE_EXCEEDED'), 'timeout'],
  ],
);

const azure = (code: string, message = 'text', more: object = {}) => ({ error: { code, message, ...more } });
const azureCases = rows(
  ['azure-openai'],
  [
    [
      'a filtered prompt',
      400,
      azure('content_filter', 'filtered', {
        innererror: { code: 'ResponsibleAIPolicyViolation', content_filter_result: {} },
      }),
      'content_filter',
    ],
    ['too long a prompt', 400, azure('context_length_exceeded'), 'context_length'],
    ['a wrong key', 401, azure('401', 'Access denied due to invalid subscription key'), 'auth'],
    ['a missing deployment', 404, azure('DeploymentNotFound'), 'model_not_found'],
    ['a wrong path', 404, azure('404', 'Resource not found'), 'config'],
    [
      'too many requests',
      429,
      azure('RateLimitReached'),
      'rate_limit',
      { 'retry-after': '7' },
      { retryAfterMs: 7_000 },
    ],
    ['too many requests, as a number', 429, azure('429'), 'rate_limit'],
    ['its own fault', 500, azure('InternalServerError'), 'server_error'],
    ['an overload', 503, azure('ServiceUnavailable'), 'overloaded'],
  ],
);

const cohereCases = rows(
  ['cohere'],
  [
    ['a broken request', 400, { message: 'invalid request: bad' }, 'invalid_request'],
    ['too long a prompt', 400, { message: 'too many tokens: size limit exceeded by 10 tokens' }, 'context_length'],
    ['a wrong key', 401, { message: 'invalid api token' }, 'auth'],
    ['a bill', 402, { message: 'Please add or update your payment method' }, 'billing'],
    ['a model nobody has', 404, { message: 'model not found' }, 'model_not_found'],
    ['a form it refuses', 422, { message: 'unprocessable entity' }, 'invalid_request'],
    [
      'too many requests',
      429,
      { message: 'You are using a Trial key, which is limited to 20 API calls / minute' },
      'rate_limit',
    ],
    [
      'a spent month',
      429,
      { message: 'You are using a Trial key, which is limited to 1000 API calls / month' },
      'quota_period',
    ],
    ['a blocked prompt', 498, { message: 'invalid token: blocked' }, 'content_filter'],
    ['its own fault', 500, { message: 'internal server error' }, 'server_error'],
    ['what is not built', 501, { message: 'not implemented' }, 'unsupported_feature'],
    ['an overload', 503, { message: 'service unavailable' }, 'overloaded'],
    ['a timeout', 504, { message: 'timeout' }, 'timeout'],
  ],
);

export const makerFailures = [...openaiCases, ...anthropicCases, ...geminiCases, ...azureCases, ...cohereCases];

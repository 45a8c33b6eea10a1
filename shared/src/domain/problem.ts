/**
 * The closed catalogue of errors a user can meet over HTTP, in files, in configuration and on the command line.
 *
 * A code never changes its meaning; `docs/errors.md` lists every one and a test keeps the two equal. The message
 * says what was done, with which value, and what to do about it; it never holds a secret or a prompt.
 */
type Entry = readonly [status: number, type: ProblemType, meaning: string];
export type ProblemType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'conflict_error'
  | 'rate_limit_error'
  | 'api_error';

export const problems = {
  body_required: [400, 'invalid_request_error', 'The request has no body.'],
  invalid_json: [400, 'invalid_request_error', 'The text is not JSON; the message names the position.'],
  body_must_be_object: [400, 'invalid_request_error', 'The top level of the JSON is not an object.'],
  invalid_utf8: [400, 'invalid_request_error', 'The bytes are not UTF-8.'],
  invalid_encoding: [400, 'invalid_request_error', 'The compressed body is damaged, or was cut off.'],
  json_too_deep: [400, 'invalid_request_error', 'The JSON nests deeper than 64 levels.'],
  too_many_properties: [400, 'invalid_request_error', 'An object has more than 1,000 properties.'],
  too_many_items: [400, 'invalid_request_error', 'A list has more items than allowed.'],
  forbidden_key: [400, 'invalid_request_error', 'A key such as `__proto__` is not accepted.'],
  number_out_of_range: [400, 'invalid_request_error', 'A number cannot be held exactly.'],
  control_character: [400, 'invalid_request_error', 'An id, name or metadata value holds a control character.'],
  invalid_unicode: [400, 'invalid_request_error', 'An id, name or metadata value holds half a surrogate pair.'],
  unknown_field: [400, 'invalid_request_error', 'The field is not known; the message names the closest one.'],
  invalid_type: [400, 'invalid_request_error', 'The value has the wrong type, or a required field is missing.'],
  invalid_value: [400, 'invalid_request_error', 'The value is not one of those allowed.'],
  out_of_range: [400, 'invalid_request_error', 'The value is outside its bounds.'],
  empty_input: [400, 'invalid_request_error', 'There is nothing to send to a model.'],
  invalid_timestamp: [400, 'invalid_request_error', 'Not an RFC 3339 time with a zone, or outside its bounds.'],
  metadata_limit: [400, 'invalid_request_error', 'Metadata has too many keys, or a key or value is too long.'],
  unsupported_endpoint: [400, 'invalid_request_error', 'Jobs of this endpoint are not accepted.'],
  not_supported_yet: [400, 'invalid_request_error', 'Designed, but not built yet; unset it.'],
  no_eligible_target: [400, 'invalid_request_error', 'No target of the chain can serve this request.'],
  invalid_idempotency_key: [
    400,
    'invalid_request_error',
    'The Idempotency-Key is not 1 to 255 printable ASCII characters.',
  ],
  invalid_http: [400, 'invalid_request_error', 'The bytes are not an HTTP/1.1 request.'],
  duplicate_header: [400, 'invalid_request_error', 'A header that must be single was sent twice.'],
  invalid_host: [400, 'invalid_request_error', 'The Host header is malformed.'],
  invalid_path: [400, 'invalid_request_error', 'The path cannot be decoded.'],
  invalid_query: [400, 'invalid_request_error', 'A query parameter is unknown, repeated or malformed.'],
  invalid_limit: [400, 'invalid_request_error', 'The page size is not a number from 1 to 100.'],
  invalid_cursor: [400, 'invalid_request_error', 'The cursor is not one this server made for this list.'],
  invalid_url: [400, 'invalid_request_error', 'The address is not an absolute URL of at most 2,048 characters.'],
  url_scheme: [400, 'invalid_request_error', 'The address is neither http nor https.'],
  url_userinfo: [400, 'invalid_request_error', 'The address holds a user name or password.'],
  url_private_address: [400, 'invalid_request_error', 'The address is private; allow it in `webhooks.allow_networks`.'],
  url_port: [400, 'invalid_request_error', 'The port is not open to webhooks.'],
  url_self: [400, 'invalid_request_error', 'The address is this server itself.'],
  unusable_secret: [422, 'invalid_request_error', 'The secret is empty, quoted, or cannot be sent in a header.'],
  missing_api_key: [401, 'authentication_error', 'No API key was sent as `Authorization: Bearer`.'],
  invalid_api_key: [401, 'authentication_error', 'The API key is not one of this server.'],
  api_key_revoked: [401, 'authentication_error', 'The API key was revoked.'],
  api_key_expired: [401, 'authentication_error', 'The API key has expired.'],
  budget_exceeded: [402, 'invalid_request_error', 'A budget of the tenant, API key, user or metadata is spent.'],
  insufficient_scope: [403, 'permission_error', 'The API key lacks the scope this needs.'],
  not_found: [404, 'not_found_error', 'There is no such thing, or it belongs to another tenant.'],
  model_not_found: [404, 'not_found_error', 'The model names no chain and no target.'],
  method_not_allowed: [405, 'invalid_request_error', 'The path exists, the method does not; see `Allow`.'],
  already_terminal: [409, 'conflict_error', 'The job is final; its outcome cannot change.'],
  not_awaiting_approval: [409, 'conflict_error', 'Only a job that awaits approval can be approved or refused.'],
  not_retryable: [409, 'conflict_error', 'Only failed, cancelled and expired jobs can be retried.'],
  payload_too_large: [413, 'invalid_request_error', 'The body is over the limit.'],
  unsupported_media_type: [415, 'invalid_request_error', 'The body is not `application/json`.'],
  unsupported_charset: [415, 'invalid_request_error', 'The body is not UTF-8.'],
  unsupported_encoding: [415, 'invalid_request_error', 'The Content-Encoding is not gzip, deflate, br or identity.'],
  idempotency_key_reused: [422, 'invalid_request_error', 'The Idempotency-Key was used with another body.'],
  duplicate_custom_id: [422, 'invalid_request_error', 'Two jobs of one batch have the same custom_id.'],
  empty_batch: [422, 'invalid_request_error', 'The batch holds no job.'],
  line_too_long: [422, 'invalid_request_error', 'A line of the file is over 1 MB.'],
  not_jsonl: [422, 'invalid_request_error', 'The file is not JSONL: one JSON object per line.'],
  too_many_failed_logins: [429, 'rate_limit_error', 'Too many wrong API keys from this address; wait a minute.'],
  too_many_streams: [429, 'rate_limit_error', 'This process holds as many streams as it may; connect again later.'],
  headers_too_large: [431, 'invalid_request_error', 'The headers are over 16 KB.'],
  internal_error: [500, 'api_error', 'A fault of this server; its log has the request id.'],
  no_provider_configured: [503, 'api_error', 'No provider has a credential or answers; see the message.'],
  storage_unavailable: [503, 'api_error', 'The database does not answer or is full; nothing was written.'],
  shutting_down: [503, 'api_error', 'The server is stopping; try again in a moment.'],
  server_unreachable: [503, 'api_error', 'The command line could not reach the server.'],
  invalid_usage: [400, 'invalid_request_error', 'The command line has an unknown command or flag, or misses a value.'],
  file_unreadable: [400, 'invalid_request_error', 'A file cannot be read; the message names it.'],
  invalid_config: [400, 'invalid_request_error', 'The configuration has faults; each is named.'],
  data_dir_locked: [409, 'conflict_error', 'Another process holds the data directory; the message names its pid.'],
  redis_unsafe: [503, 'api_error', 'This Redis may lose what it is given: the message names the setting to change.'],
  redis_unavailable: [503, 'api_error', 'Redis does not answer at the address of `REDIS_URL`.'],
  database_unavailable: [
    503,
    'api_error',
    'PostgreSQL does not answer at the address of `DATABASE_URL`, or refuses the user.',
  ],
  database_too_old: [503, 'api_error', 'The PostgreSQL server is older than version 13.'],
  schema_newer: [
    409,
    'conflict_error',
    'The database was migrated by a newer version; this process is too old for it.',
  ],
  clock_skew: [503, 'api_error', 'The clock of this machine and that of the database differ by more than 2 seconds.'],
  master_key_mismatch: [409, 'conflict_error', 'The database was sealed with another `WAYBILL_MASTER_KEY`.'],
  port_in_use: [409, 'conflict_error', 'Another program listens on the port.'],
} as const satisfies Record<string, Entry>;

export type ProblemCode = keyof typeof problems;

/** An error a user can act on. Anything else that reaches a border is `internal_error` and logged. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  /** The field, header or parameter at fault, as a path such as `body.messages[0].role`. */
  readonly param: string | null;
  readonly retryAfterSeconds: number | null;

  constructor(
    code: ProblemCode,
    message: string,
    options: { param?: string | null; cause?: unknown; retryAfterSeconds?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.param = options.param ?? null;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }

  get status(): number {
    return problems[this.code][0];
  }
  get type(): ProblemType {
    return problems[this.code][1];
  }
}

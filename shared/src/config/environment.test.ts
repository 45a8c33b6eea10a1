import { expect, test } from 'vitest';
import { type Environment, parseEnvironment } from './environment.ts';

const good = (env: NodeJS.ProcessEnv): Environment => {
  const result = parseEnvironment(env);
  if (result.kind !== 'ok') throw new Error(JSON.stringify(result.faults));
  return result.environment;
};
const faultsOf = (env: NodeJS.ProcessEnv) => {
  const result = parseEnvironment(env);
  return result.kind === 'ok' ? [] : result.faults;
};
const masterKey = Buffer.alloc(32, 7).toString('base64');

test.for<[string, string, keyof Environment, unknown]>([
  ['WAYBILL_PORT', '4701', 'WAYBILL_PORT', 4_701],
  ['WAYBILL_PORT', '0', 'WAYBILL_PORT', 0],
  ['WAYBILL_HOST', '0.0.0.0', 'WAYBILL_HOST', '0.0.0.0'],
  ['WAYBILL_HOST', '::1', 'WAYBILL_HOST', '::1'],
  ['WAYBILL_HOST', 'localhost', 'WAYBILL_HOST', 'localhost'],
  ['WAYBILL_CONFIG', '/etc/w.yaml', 'WAYBILL_CONFIG', '/etc/w.yaml'],
  ['WAYBILL_DATA_DIR', '/var/w', 'WAYBILL_DATA_DIR', '/var/w'],
  ['WAYBILL_MASTER_KEY', masterKey, 'WAYBILL_MASTER_KEY', Buffer.alloc(32, 7)],
  ['WAYBILL_MASTER_KEY', `${masterKey}\n`, 'WAYBILL_MASTER_KEY', Buffer.alloc(32, 7)],
  ['WAYBILL_ADMIN_KEY', 'x'.repeat(20), 'WAYBILL_ADMIN_KEY', 'x'.repeat(20)],
  ['WAYBILL_DISABLE', ' openai, Groq ,,', 'WAYBILL_DISABLE', ['openai', 'groq']],
  ['WAYBILL_CLOUD', 'on', 'WAYBILL_CLOUD', 'on'],
  ['WAYBILL_CLOUD', 'OFF', 'WAYBILL_CLOUD', 'off'],
  ['WAYBILL_CLOUD', 'false', 'WAYBILL_CLOUD', 'off'],
  ['LLM_PROVIDER_COOLDOWN_SEC', '60', 'LLM_PROVIDER_COOLDOWN_SEC', 60_000],
  ['LLM_PROVIDER_COOLDOWN_SEC', '2m', 'LLM_PROVIDER_COOLDOWN_SEC', 120_000],
  ['LLM_FALLBACK_MODE', 'manual', 'LLM_FALLBACK_MODE', 'manual'],
  ['DATABASE_URL', 'postgres://u:p%40@h:5433/db', 'DATABASE_URL', 'postgres://u:p%40@h:5433/db'],
  ['DATABASE_URL', 'postgresql://h/db?sslmode=require', 'DATABASE_URL', 'postgresql://h/db?sslmode=require'],
  ['LOG_LEVEL', 'debug', 'LOG_LEVEL', 'debug'],
  ['LLM_PROVIDER_PRIORITY', 'ollama, OpenAI', 'LLM_PROVIDER_PRIORITY', ['ollama', 'openai']],
  ['LLM_PROVIDER_PRIORITY', 'lm_studio', 'LLM_PROVIDER_PRIORITY', ['lm-studio']],
  ['LLM_PROVIDER_TIMEOUTS', 'ollama:20,groq:1.5', 'LLM_PROVIDER_TIMEOUTS', { ollama: 20_000, groq: 1_500 }],
  ['LLM_PROVIDER_TIMEOUTS', 'Ollama: 2m', 'LLM_PROVIDER_TIMEOUTS', { ollama: 120_000 }],
  ['LLM_FALLBACK_MODE', 'immediate', 'LLM_FALLBACK_MODE', 'immediate'],
  ['OPENAI_BASE_URL', 'http://h:1/v1', 'OPENAI_BASE_URL', 'http://h:1/v1'],
  ['ENABLE_PROVIDER_SYSTEM', 'false', 'ENABLE_PROVIDER_SYSTEM', false],
  ['ENABLE_PROVIDER_SYSTEM', '1', 'ENABLE_PROVIDER_SYSTEM', true],
  ['PRIMARY_PROVIDER', ' LLAMA_CPP ', 'PRIMARY_PROVIDER', 'llama-cpp'],
  ['SECONDARY_PROVIDER', 'openai', 'SECONDARY_PROVIDER', 'openai'],
  ['FALLBACK_PROVIDER', 'groq', 'FALLBACK_PROVIDER', 'groq'],
  ['PROVIDER_TIMEOUT', '30', 'PROVIDER_TIMEOUT', 30_000],
  ['PROVIDER_TIMEOUT', '2m', 'PROVIDER_TIMEOUT', 120_000],
  ['PROVIDER_RETRY_ATTEMPTS', '0', 'PROVIDER_RETRY_ATTEMPTS', 0],
  ['PROVIDER_LOAD_BALANCE', 'yes', 'PROVIDER_LOAD_BALANCE', true],
])('%s=%j is read', ([name, value, field, expected]) => {
  expect(good({ [name]: value })[field]).toEqual(expected);
});

test('an empty variable is as good as none', () => {
  const names = [
    'WAYBILL_PORT',
    'WAYBILL_HOST',
    'WAYBILL_MASTER_KEY',
    'WAYBILL_CLOUD',
    'DATABASE_URL',
    'REDIS_URL',
    'LOG_LEVEL',
    'LLM_FALLBACK_MODE',
    'LLM_PROVIDER_COOLDOWN_SEC',
    'PROVIDER_TIMEOUT',
    'OPENAI_BASE_URL',
  ];
  const environment = good(Object.fromEntries(names.map((name) => [name, ''])));
  for (const name of names) expect(environment[name as keyof Environment], name).toBeUndefined();
});

test('variables of other programs are none of our business', () => {
  expect(faultsOf({ PATH: '/bin', PORT: 'many', HOME: '' })).toEqual([]);
});

test('models are read by the name of their provider', () => {
  const env = { OPENAI_MODEL: 'gpt-4.1', LLAMA_CPP_MODEL: ' qwen ', LM_STUDIO_MODEL: '', OTHER_MODEL: 'x' };
  expect(good(env).models).toEqual({ openai: 'gpt-4.1', 'llama-cpp': 'qwen' });
});

const database = { DATABASE_URL: 'postgres://h/db' };

test('REDIS_URL is read as an address, beside DATABASE_URL', () => {
  expect(good({ ...database, REDIS_URL: 'rediss://:secret@h:6380/2' }).REDIS_URL).toEqual({
    kind: 'single',
    hosts: [{ host: 'h', port: 6_380 }],
    isTls: true,
    username: null,
    password: 'secret',
    database: 2,
    master: null,
  });
});

test.for<[string, NodeJS.ProcessEnv, string, RegExp]>([
  ['Redis alone', { REDIS_URL: 'redis://:hunter2secret@h:6379/0' }, 'REDIS_URL', /needs DATABASE_URL/],
  [
    'a Redis of another form',
    { ...database, REDIS_URL: 'http://:hunter2secret@h' },
    'REDIS_URL',
    /expected redis:\/\//,
  ],
  ['two Redis hosts', { ...database, REDIS_URL: 'redis://:hunter2secret@h,i' }, 'REDIS_URL', /several hosts/],
  ['another database', { DATABASE_URL: 'mysql://u:hunter2secret@h/db' }, 'DATABASE_URL', /expected an address/],
  ['no address', { DATABASE_URL: 'hunter2secret' }, 'DATABASE_URL', /expected an address/],
])('%s is refused by name, its value unsaid', ([, env, path, message]) => {
  const faults = faultsOf(env);
  expect(faults).toEqual([{ path, code: 'invalid_value', message: expect.stringMatching(message) }]);
  expect(JSON.stringify(faults)).not.toContain('hunter2');
});

test.for<[string, string, RegExp]>([
  ['WAYBILL_PORT', '70000', /<=65535/],
  ['WAYBILL_PORT', '-1', />=0/],
  ['WAYBILL_PORT', 'many', /number/],
  ['WAYBILL_PORT', '47.5', /int/],
  ['WAYBILL_HOST', 'example.com', /IP address or "localhost"/],
  ['WAYBILL_MASTER_KEY', Buffer.alloc(31, 7).toString('base64'), /32 random bytes as base64.*received 31 bytes/],
  ['WAYBILL_MASTER_KEY', Buffer.alloc(32).toString('base64'), /32 random bytes/],
  ['WAYBILL_MASTER_KEY', `${masterKey}!?`, /32 random bytes/],
  ['WAYBILL_MASTER_KEY', `"${masterKey}"`, /32 random bytes/],
  ['WAYBILL_MASTER_KEY', 'changeme', /32 random bytes/],
  ['WAYBILL_ADMIN_KEY', 'short', /at least 20 characters/],
  ['LOG_LEVEL', 'loud', /"info"/],
  ['LLM_PROVIDER_TIMEOUTS', 'ollama', /"ollama:20" \(seconds\), received "ollama"/],
  ['LLM_PROVIDER_TIMEOUTS', 'ollama:-1', /"ollama:20"/],
  ['LLM_PROVIDER_TIMEOUTS', 'ollama:99999', /"ollama:20"/],
  ['LLM_PROVIDER_TIMEOUTS', ':5', /"ollama:20"/],
  ['LLM_FALLBACK_MODE', 'sometimes', /graceful.*immediate.*manual/],
  ['OPENAI_BASE_URL', 'not an address', /URL/i],
  ['OPENAI_BASE_URL', 'file:///etc', /URL/i],
  ['PROVIDER_TIMEOUT', 'soon', /with a unit/],
  ['PROVIDER_TIMEOUT', '0', /from 100ms to 1h/],
  ['PROVIDER_TIMEOUT', '2h', /from 100ms to 1h/],
  ['PROVIDER_RETRY_ATTEMPTS', '-1', />=0/],
  ['PROVIDER_RETRY_ATTEMPTS', '1.5', /int/],
  ['ENABLE_PROVIDER_SYSTEM', 'maybe', /"true"/],
])('%s=%j is a fault that says what is allowed', ([name, value, message]) => {
  expect(faultsOf({ [name]: value })).toEqual([
    { path: name, code: expect.any(String), message: expect.stringMatching(message) },
  ]);
});

test('all faults come at once', () => {
  const faults = faultsOf({ WAYBILL_PORT: 'x', LOG_LEVEL: 'y', REDIS_URL: 'redis://h', WAYBILL_HOST: 'h' });
  expect(faults.map((fault) => fault.path).toSorted()).toEqual([
    'LOG_LEVEL',
    'REDIS_URL',
    'WAYBILL_HOST',
    'WAYBILL_PORT',
  ]);
});

test('a faulty value is never said back when it may be a secret', () => {
  const secret = 'sk-live-0123456789';
  const names = [
    'WAYBILL_PORT',
    'WAYBILL_HOST',
    'LOG_LEVEL',
    'LLM_FALLBACK_MODE',
    'LLM_PROVIDER_TIMEOUTS',
    'PROVIDER_TIMEOUT',
  ];
  const faults = faultsOf(Object.fromEntries(names.map((name) => [name, secret])));
  expect(faults).toHaveLength(names.length);
  expect(JSON.stringify(faults)).not.toContain(secret);
});

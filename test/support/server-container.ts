/** A server in a container, which Testcontainers removes, also when the process of the test ends first. */
import { setTimeout as sleep } from 'node:timers/promises';
import { checkDockerEngine } from './docker-engine.ts';

export interface ContainerRecipe {
  readonly image: string;
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly port: number;
}

export interface ServerContainer {
  /** `127.0.0.1:49153` */
  readonly address: string;
  stop(): Promise<void>;
}

/** The download of the image included. */
const timeLimitMs = 180_000;

/** The server may not answer yet, though its port does: whoever calls this asks until it does. */
export async function startServerContainer(recipe: ContainerRecipe): Promise<ServerContainer> {
  await checkDockerEngine();
  const { GenericContainer } = await import('testcontainers');
  const starting = new GenericContainer(recipe.image)
    .withCommand([...recipe.command])
    .withEnvironment({ ...recipe.environment })
    .withExposedPorts(recipe.port)
    .withStartupTimeout(timeLimitMs)
    .start();
  // The limit of Testcontainers does not cover the download.
  const late = sleep(timeLimitMs, undefined, { ref: false });
  const container = await Promise.race([starting, late]);
  if (container === undefined) {
    void starting.then((one) => one.stop()).catch(() => undefined);
    throw new Error(`no container of ${recipe.image} in ${timeLimitMs} ms`);
  }
  return {
    address: `${container.getHost()}:${container.getMappedPort(recipe.port)}`,
    async stop() {
      await container.stop();
    },
  };
}

/** Asks until there is an answer; the last failure, when there is none in time. */
export async function askUntilAnswered<Answer>(question: () => Promise<Answer>, limitMs = 30_000): Promise<Answer> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    try {
      return await question();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(50);
  }
}

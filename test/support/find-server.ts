/**
 * The search for a server that a test can use: one source after the other, and one error with every remedy.
 *
 * A test that finds no server fails. Skipping it would let a machine without servers pass everything.
 */

/** One source of a server: how to get it from there, and what to do on a machine where that fails. */
export interface ServerWay<Server> {
  readonly remedy: string;
  start(): Promise<Server>;
}

export interface ServerSearch<Source extends string, Server> {
  /** Whose server this is, for the error: `PostgreSQL`. */
  readonly product: string;
  /** In the order they are tried. */
  readonly ways: Readonly<Record<Source, ServerWay<Server>>>;
  readonly allows: (source: Source) => boolean;
  /** Names a server that must be used: where it fails, no other source is tried. */
  readonly variable: string;
}

export async function findServer<Source extends string, Server>({
  product,
  ways,
  allows,
  variable,
}: ServerSearch<Source, Server>): Promise<Server> {
  const sources = Object.keys(ways) as Source[];
  const failures: Partial<Record<Source, string>> = {};
  for (const source of sources.filter(allows)) {
    try {
      return await ways[source].start();
    } catch (error) {
      failures[source] = String(error);
    }
    // Whoever set the variable meant that server; testing another one in silence would mislead.
    if (source === 'environment' && process.env[variable]) break;
  }
  const lines = sources.map((source, i) => `${i + 1}. ${ways[source].remedy} (${failures[source] ?? 'not tried'})`);
  throw new Error(`No ${product} server for the tests. Do one of these:\n${lines.join('\n')}`);
}

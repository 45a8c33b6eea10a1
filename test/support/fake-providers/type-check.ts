/** Holds request bodies against the types of the official SDKs, by their compiler, in one run. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const projectRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** Names of the types below. */
export type BodyType =
  | 'OpenaiChat'
  | 'OpenaiResponses'
  | 'OpenaiEmbeddings'
  | 'AnthropicMessages'
  | 'GeminiGenerate'
  | 'GeminiEmbed'
  | 'CohereChat'
  | 'CohereEmbed'
  | 'OllamaChat'
  | 'OllamaEmbed';

export interface TypedBody {
  readonly title: string;
  readonly type: BodyType;
  readonly body: string;
}

const header = `
import type OpenAI from 'openai';
import type Anthropic from '@anthropic-ai/sdk';
import type * as Gemini from '@google/genai';
// Its package does not export them: these are the forms of the wire, those that it exports are of its methods.
import type { V2ChatRequest } from './node_modules/cohere-ai/serialization/resources/v2/client/requests/V2ChatRequest';
import type { V2EmbedRequest } from './node_modules/cohere-ai/serialization/resources/v2/client/requests/V2EmbedRequest';
import type { ChatRequest, EmbedRequest, Message, Tool, ToolCall } from 'ollama';

export type OpenaiChat = OpenAI.Chat.ChatCompletionCreateParams;
export type OpenaiResponses = OpenAI.Responses.ResponseCreateParams;
export type OpenaiEmbeddings = OpenAI.EmbeddingCreateParams;

// The newest version of the API, whose types these are, has no sampling; the one before it has.
export type AnthropicMessages = Anthropic.MessageCreateParams & { temperature?: number; top_p?: number; top_k?: number };

// An enum of the SDK is a text on the wire.
type Wire<T> = T extends string ? \`\${T}\` : T extends readonly (infer E)[] ? Wire<E>[] : T extends object ? { [K in keyof T]: Wire<T[K]> } : T;
export interface GeminiGenerate {
  contents: Wire<Gemini.Content>[];
  systemInstruction?: Wire<Gemini.Content>;
  tools?: Wire<Gemini.Tool>[];
  toolConfig?: Wire<Gemini.ToolConfig>;
  safetySettings?: Wire<Gemini.SafetySetting>[];
  generationConfig?: Wire<Gemini.GenerationConfig>;
  labels?: Record<string, string>;
  store?: boolean;
  continuationToken?: string;
}
export interface GeminiEmbed {
  requests: ({ model: string; content: Wire<Gemini.Content> } & Pick<Gemini.EmbedContentConfig, 'taskType' | 'title' | 'outputDimensionality'>)[];
}

// The SDK gives \`stream\` to a method of its own.
export type CohereChat = V2ChatRequest.Raw & { stream?: boolean };
export type CohereEmbed = V2EmbedRequest.Raw;

// What the server takes and this SDK does not yet name.
type SaidCall = ToolCall & { id?: string };
type Said = Omit<Message, 'tool_calls'> & { tool_call_id?: string; tool_calls?: SaidCall[] };
type OfferedTool = Omit<Tool, 'function'> & { function: Omit<Tool['function'], 'parameters'> & { parameters?: object } };
export type OllamaChat = Omit<ChatRequest, 'messages' | 'think' | 'tools'> & {
  messages: Said[];
  tools?: OfferedTool[];
  think?: ChatRequest['think'] | 'max';
  truncate?: boolean;
  shift?: boolean;
};
export type OllamaEmbed = EmbedRequest;
`;

const config = {
  compilerOptions: {
    target: 'esnext',
    module: 'esnext',
    moduleResolution: 'bundler',
    lib: ['esnext', 'dom'],
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  },
  files: ['bodies.ts'],
};

/** The compiler's lines, each with the title of its body; empty when every body fits its type. */
export async function checkTypes(bodies: readonly TypedBody[]): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'waybill-types-'));
  try {
    const lines = bodies.map(({ type, body }, index) => `export const body${index}: ${type} = ${body};`);
    await writeFile(join(folder, 'bodies.ts'), `${header}${lines.join('\n')}\n`);
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    await symlink(join(projectRoot, 'node_modules'), join(folder, 'node_modules'), 'dir');
    const first = header.split('\n').length;
    // What a line is about in detail follows it, indented.
    return (await compile(folder)).split(/\n(?! )/).flatMap((line) => {
      const at = Number(/^bodies\.ts\((\d+),/.exec(line)?.[1]);
      if (line.trim() === '') return [];
      return [Number.isNaN(at) ? line : `${bodies[at - first]?.title ?? 'the types themselves'}: ${line}`];
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function compile(folder: string): Promise<string> {
  const tsc = join(projectRoot, 'node_modules', '.bin', 'tsc');
  return new Promise((resolve, reject) => {
    execFile(
      tsc,
      ['-p', 'tsconfig.json', '--pretty', 'false'],
      { cwd: folder, maxBuffer: 32 * 1024 * 1024 },
      (error, stdout, stderr) => {
        // A compiler that finds mistakes ends with a number; one that was not run at all has none.
        if (error && typeof error.code !== 'number') return reject(error);
        if (error && stdout === '') return reject(new Error(`tsc failed: ${stderr.slice(0, 2_000)}`));
        resolve(stdout);
      },
    );
  });
}

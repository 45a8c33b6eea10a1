/**
 * Looks for local model servers at their usual addresses. Short GETs, all at once, and no answer is fine.
 *
 * Two kinds of server share port 8080 and two share 8000: which one it is, only its own paths tell. A credential is sent
 * to a server that was recognised, and to no other program that happens to listen there.
 */
import { request } from 'undici';
import { defaultModels } from '../providers/catalogue.ts';
import { authHeaders } from '../providers/listing/auth-headers.ts';
import { listUrl } from '../providers/listing/list-url.ts';
import { type ListedModel, listedModel, normaliseModel } from '../providers/listing/listed-model.ts';
import { readModelList } from '../providers/listing/read-model-list.ts';
import { type Preset, presets } from '../providers/presets.ts';
import { asList, asRecord, asText, asTextOrNull, parseProviderJson } from '../providers/provider-json.ts';
import { Secret } from '../security/secret.ts';

export interface LocalServer {
  readonly preset: string;
  readonly endpoint: string;
  /** The preset's default when it serves it, else the first that writes text; null: it serves none. */
  readonly firstModel: string | null;
}

const probeTimeoutMs = 400;
const maxBytes = 1024 * 1024;

/** @param env holds the credentials of servers that list their models to those who have one */
export async function probeLocalServers(
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<LocalServer[]> {
  const answers = await Promise.all(
    presets.flatMap((preset) =>
      preset.probes.map(async ({ endpoint, path }) => ({
        preset,
        endpoint,
        body: await get(new URL(path, endpoint).href, {}),
      })),
    ),
  );
  const recognised = answers.filter(({ preset, body }) => isOf(preset, body));
  const servers = recognised.filter(
    ({ preset, endpoint }) =>
      ownPaths.has(preset.id) ||
      !recognised.some((other) => ownPaths.has(other.preset.id) && other.endpoint === endpoint),
  );
  return Promise.all(
    servers.map(async ({ preset, endpoint, body }) => ({
      preset: preset.id,
      endpoint,
      firstModel: chooseModel(preset, readLmStudio(preset, body) ?? (await modelsOf(preset, endpoint, env))),
    })),
  );
}

/** Answered under a path that bears their name, or that no other server has: they win where two answer at one address. */
const ownPaths: ReadonlySet<string> = new Set(['localai', 'lightllm']);

/** A JSON object, and of those whose path is a common word, what they say there. */
function isOf(preset: Preset, body: unknown): boolean {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return false;
  if (preset.id === 'vllm') return asText(asRecord(body).version) !== '';
  if (preset.id === 'lm-studio') return Array.isArray(asRecord(body).data);
  return true;
}

/** It lists what was downloaded, embedding models too, and only its own list says which is loaded. null: another server. */
function readLmStudio(preset: Preset, body: unknown): ListedModel[] | null {
  if (preset.id !== 'lm-studio') return null;
  return asList(asRecord(body).data).flatMap((each) => {
    const { id, type, state } = asRecord(each);
    const name = asTextOrNull(id);
    if (name === null) return [];
    return [listedModel(name, { isChat: type !== 'embeddings', status: state === 'loaded' ? 'loaded' : null })];
  });
}

async function modelsOf(
  preset: Preset,
  endpoint: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly ListedModel[]> {
  const credential = preset.credentialVariables.map((name) => env[name]?.trim()).find((value) => value);
  const url = listUrl(preset.modelListing, endpoint, null);
  if (url === null) return [];
  const headers = authHeaders(preset.dialect, credential ? new Secret(credential) : null, preset.apiVersion);
  return readModelList(preset.modelListing, await get(url, headers))?.models ?? [];
}

function chooseModel(preset: Preset, models: readonly ListedModel[]): string | null {
  const preferred = defaultModels[preset.id];
  const names = models
    .toSorted((a, b) => rankOf(a) - rankOf(b))
    .map(({ id }) => normaliseModel(preset.modelListing, id));
  return preferred && names.includes(preferred) ? preferred : (names[0] ?? null);
}

/** Those that write text first, and of them the loaded one: another would have to be loaded. */
const rankOf = ({ id, isChat, status }: ListedModel): number =>
  isChat === false || /embed/i.test(id) ? 2 : status === 'loaded' ? 0 : 1;

async function get(url: string, headers: Readonly<Record<string, string>>): Promise<unknown> {
  try {
    const { statusCode, body } = await request(url, { headers, signal: AbortSignal.timeout(probeTimeoutMs) });
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > maxBytes) return null; // Leaving the loop destroys the body.
      chunks.push(chunk);
    }
    return statusCode === 200 ? parseProviderJson(Buffer.concat(chunks).toString('utf8')) : null;
  } catch {
    return null; // Nobody there, or not a model server.
  }
}

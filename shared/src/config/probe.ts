/** Looks for local model servers at their usual addresses. One short GET each, all at once, and no answer is fine. */
import { request } from 'undici';
import { defaultModels } from '../providers/catalogue.ts';
import { presets } from '../providers/presets.ts';
import { asList, asRecord, asTextOrNull } from '../providers/provider-json.ts';

export interface LocalServer {
  readonly preset: string;
  readonly endpoint: string;
  readonly firstModel: string | null;
}

const probeTimeoutMs = 400;

export async function probeLocalServers(): Promise<LocalServer[]> {
  const found = await Promise.all(
    presets.flatMap((preset) =>
      preset.probes.map(async ({ endpoint, path }): Promise<LocalServer | null> => {
        const answer = await get(new URL(path, endpoint).href);
        if (answer === null) return null;
        return {
          preset: preset.id,
          endpoint,
          firstModel: await firstModel(preset.dialect === 'ollama', endpoint, defaultModels[preset.id] ?? null),
        };
      }),
    ),
  );
  return found.filter((server) => server !== null);
}

/** The preset's default when the server has it, else the first model it lists. */
async function firstModel(isOllama: boolean, endpoint: string, preferred: string | null): Promise<string | null> {
  const answer = asRecord(await get(isOllama ? `${endpoint}/api/tags` : `${endpoint}/models`));
  const names = asList(isOllama ? answer.models : answer.data)
    .map((entry) => asTextOrNull(asRecord(entry)[isOllama ? 'name' : 'id'])?.replace(/:latest$/, ''))
    .filter((name) => name !== undefined);
  return preferred !== null && names.includes(preferred) ? preferred : (names[0] ?? null);
}

async function get(url: string): Promise<unknown> {
  try {
    const response = await request(url, { signal: AbortSignal.timeout(probeTimeoutMs) });
    const text = await response.body.text();
    if (response.statusCode !== 200) return null;
    return text.length < 1_000_000 ? JSON.parse(text) : null;
  } catch {
    return null; // Nobody there, or not a model server.
  }
}

/** The work of `waybill providers discover`: looks around, then prints or writes a configuration. */
import { writeFileSync } from 'node:fs';
import { probeLocalServers } from '@waybill/shared/config/probe.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { print, printJson, say, table, visible } from '../output.ts';
import { configurationText } from './configuration-text.ts';
import { shownAddress } from './configured.ts';
import { type Discovered, discover } from './discover.ts';
import { interruptible } from './interruptible.ts';
import { type AskFlags, counting, timeoutOf } from './local-flags.ts';

export interface DiscoverFlags extends AskFlags {
  readonly write?: string;
}

const shownModels = 3;

export async function runDiscover(flags: DiscoverFlags): Promise<void> {
  const timeoutMs = timeoutOf(flags);
  const progress = counting(flags, 'providers');
  const found = await interruptible((signal) =>
    discover(process.env, probeLocalServers, { timeoutMs, signal }, progress.tell),
  ).finally(progress.end);
  if (!found) return;
  const text = configurationText(found.providers, found.notes);
  if (flags.write !== undefined) writeNew(flags.write, text);
  if (flags.json)
    return printJson({
      object: 'discovery',
      providers: found.providers.map(toJson),
      notes: found.notes,
      configuration: text,
      written_to: flags.write ?? null,
    });
  show(found.providers, found.notes);
  if (flags.write === undefined) print(`\n${text}`.trimEnd());
  else print(`\nWritten to ${flags.write}. Start with: WAYBILL_CONFIG=${flags.write} waybill up`);
}

const toJson = ({ id, preset, asked, variable, models, model, problem, remedy }: Discovered) => ({
  id,
  preset,
  endpoint: shownAddress(asked),
  credential_variable: variable,
  models,
  model,
  problem,
  remedy,
});

function show(providers: readonly Discovered[], notes: readonly string[]): void {
  for (const note of notes) say(`Note: ${visible(note)}`);
  if (providers.length === 0) {
    print('No provider found. Set a credential such as OPENAI_API_KEY, or start Ollama, and run this again.');
    return;
  }
  print(
    table(
      ['provider', 'address', 'credential', 'models', ''],
      providers.map(({ id, asked, variable, models, problem }) => [
        id,
        visible(shownAddress(asked)),
        variable ?? 'none',
        models.length,
        visible(problem ?? firstOf(models)),
      ]),
    ),
  );
  for (const { id, problem, remedy } of providers) if (problem !== null) say(`${id}: ${problem}; ${remedy}`);
}

const firstOf = (models: readonly string[]): string =>
  `${models.slice(0, shownModels).join(', ')}${models.length > shownModels ? ', …' : ''}`;

function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'wx' });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'EEXIST')
      throw new Problem(
        'invalid_usage',
        `Cannot write ${path}: it exists and is left as it is. Name another file, or run this without --write and paste`,
        { param: 'write' },
      );
    throw new Problem('file_unreadable', `Cannot write ${path} (${code}): check the folder and its rights`, { cause });
  }
}

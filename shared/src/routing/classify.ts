/** Which chain a request goes to, when its model is a name that stands for the chain of its class. Pure. */
import type { Classifier } from '../config/settings.ts';
import type { JobBody, RequestNeeds } from './request-needs.ts';

export type RequestClass = 'vision' | 'tools' | 'long' | 'short' | 'otherwise';
type ClassNeeds = Pick<RequestNeeds, 'capabilities' | 'inputTokens'>;

/** A request is short below this part of what makes one long. */
const shortShare = 1 / 10;

/**
 * The first class that the request is of and that names a chain: what a model must be able to do goes before size.
 * Embeddings have a size only.
 */
export const classOf = (classifier: Classifier, body: JobBody, needs: ClassNeeds): RequestClass =>
  choose(classifier, body, needs).name;

/** The name of the chain of a request's class. */
export const chainOfClass = (classifier: Classifier, body: JobBody, needs: ClassNeeds): string =>
  choose(classifier, body, needs).chain;

function choose(classifier: Classifier, body: JobBody, { capabilities, inputTokens }: ClassNeeds): Choice {
  const isChat = body.endpoint === '/v1/chat/completions';
  const { vision, tools, long, short, longFrom, otherwise } = classifier;
  const choices: readonly (Choice | null)[] = [
    isChat && capabilities.includes('vision') ? named('vision', vision) : null,
    isChat && capabilities.includes('tools') ? named('tools', tools) : null,
    inputTokens >= longFrom ? named('long', long) : null,
    inputTokens < longFrom * shortShare ? named('short', short) : null,
  ];
  return choices.find((choice) => choice !== null) ?? { name: 'otherwise', chain: otherwise };
}

interface Choice {
  readonly name: RequestClass;
  readonly chain: string;
}

const named = (name: RequestClass, chain: string | null): Choice | null => (chain === null ? null : { name, chain });

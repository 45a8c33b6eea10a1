/** Gemini's own API: contents, candidates, a stream that ends with its connection, and embeddings in batches. */
import { checkGenerate, hearGenerate, modelOf } from './gemini-request.ts';
import { closed, filled, type Json, list, listOf, need, oneOf, recordOf, whole } from './shape.ts';
import { type Asked, cutText, type FakeProvider, heard, num, type Said, type Surface, sse, vectorOf } from './wire.ts';

const usageOf = ({ usage }: Said): Json =>
  usage === null
    ? {}
    : {
        usageMetadata: {
          promptTokenCount: usage.input,
          candidatesTokenCount: usage.output - (usage.reasoning ?? 0),
          ...(usage.reasoning === undefined ? {} : { thoughtsTokenCount: usage.reasoning }),
          ...(usage.cacheRead === undefined ? {} : { cachedContentTokenCount: usage.cacheRead }),
          totalTokenCount: usage.input + usage.output,
          promptTokensDetails: [{ modality: 'TEXT', tokenCount: usage.input }],
        },
      };

const finishes = { stop: 'STOP', length: 'MAX_TOKENS', content_filter: 'SAFETY' } as const;

/** Only the first of parallel calls carries a signature. */
const callParts = (said: Said): Json[] =>
  said.calls.map((call, index) => ({
    functionCall: { ...(call.id === null ? {} : { id: call.id }), name: call.name, args: call.arguments },
    ...(index === 0 ? { thoughtSignature: `sealed:${call.name}` } : {}),
  }));

const textParts = (pieces: readonly string[], more: Json = {}): Json[] => pieces.map((text) => ({ text, ...more }));

const chunk = (said: Said, { path }: Asked, parts: readonly Json[] | null, isLast: boolean): Json => ({
  candidates: [
    {
      ...(parts === null ? {} : { content: { role: 'model', parts } }),
      ...(isLast ? { finishReason: said.oddFinish ? 'A_REASON_OF_TOMORROW' : finishes[said.finish] } : {}),
      index: 0,
      safetyRatings: [],
    },
  ],
  ...usageOf(said),
  modelVersion: `${modelOf(path)}-001`,
  responseId: 'resp-1',
});

/** A prompt that is blocked has no candidate at all. */
const blocked = (said: Said, asked: Asked): Json => ({
  promptFeedback: { blockReason: 'PROHIBITED_CONTENT' },
  ...usageOf(said),
  modelVersion: modelOf(asked.path),
  responseId: 'resp-1',
});

function wholeAnswer(said: Said, asked: Asked): Json {
  if (said.refusal !== null) return blocked(said, asked);
  const parts = [
    ...(said.reasoning === '' ? [] : textParts([said.reasoning], { thought: true })),
    ...(said.text === '' ? [] : textParts([said.text])),
    ...callParts(said),
  ];
  return chunk(said, asked, parts.length === 0 ? null : parts, true);
}

function frames(said: Said, asked: Asked): string[] {
  if (said.refusal !== null) return [sse(blocked(said, asked))];
  const parts = [
    ...textParts(cutText(said.reasoning, 9), { thought: true }),
    ...textParts(cutText(said.text)),
    ...callParts(said),
  ];
  // Separators of this server are CRLF.
  return [
    ...parts.map((part) => sse(chunk(said, asked, [part], false))),
    sse(chunk(said, asked, said.finish === 'stop' ? [{ text: '' }] : null, true)),
  ].map((frame) => frame.replaceAll('\n', '\r\n'));
}

const generate = (method: 'generateContent' | 'streamGenerateContent'): Surface => ({
  path: new RegExp(`^/models/[^/:]+:${method}$`),
  check(asked) {
    checkGenerate(asked);
    if (method === 'streamGenerateContent')
      need(asked.query.get('alt') === 'sse', 'without alt=sse the answer is one JSON list');
  },
  hear: hearGenerate,
  isStreamed: () => method === 'streamGenerateContent',
  whole: wholeAnswer,
  frames,
  streamType: 'text/event-stream',
  // Not framed as an event.
  midStreamError: '\r\n{"error":{"code":503,"message":"The model is overloaded","status":"UNAVAILABLE"}}\r\n',
});

const embeddingRequest = closed({
  model: filled,
  content: closed({ 'role?': oneOf('user'), parts: list(closed({ text: filled }), 1) }),
  'taskType?': oneOf(
    'RETRIEVAL_QUERY',
    'RETRIEVAL_DOCUMENT',
    'SEMANTIC_SIMILARITY',
    'CLASSIFICATION',
    'CLUSTERING',
    'QUESTION_ANSWERING',
  ),
  'title?': filled,
  'outputDimensionality?': whole(1),
});

const textOf = (request: Json): string =>
  listOf(recordOf(request.content).parts)
    .map(({ text }) => text)
    .join('');

const embed: Surface = {
  path: /^\/models\/[^/:]+:batchEmbedContents$/,
  check({ path, headers, body }) {
    need(headers['x-goog-api-key'] !== undefined, 'Method does not allow unregistered callers.', { status: 403 });
    closed({ requests: list(embeddingRequest, 1, 100) })(body, '');
    for (const { model } of listOf(body.requests))
      need(model === `models/${modelOf(path)}`, 'requests.model must be that of the address');
  },
  hear: ({ path, body }) =>
    heard({ model: modelOf(path), parts: listOf(body.requests).map((each) => ({ who: 'user', text: textOf(each) })) }),
  isStreamed: () => false,
  whole: (_said, { body }) => ({
    embeddings: listOf(body.requests).map((each) => ({
      values: vectorOf(textOf(each), num(each.outputDimensionality) ?? 3),
    })),
  }),
  frames: () => [],
  streamType: 'application/json',
  midStreamError: '',
};

const statuses: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
};

export const geminiProvider: FakeProvider = {
  root: '/v1beta',
  surfaces: [generate('generateContent'), generate('streamGenerateContent'), embed],
  requestIdHeader: null,
  error: (code, message) => ({ error: { code, message, status: statuses[code] ?? 'INTERNAL' } }),
};

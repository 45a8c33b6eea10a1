/** Azure OpenAI: OpenAI's forms under other addresses and another key, with the content filter's annotations. */
import { chatSurface } from './openai-chat.ts';
import { embeddingsSurface } from './openai-embeddings.ts';
import { openaiServer } from './openai-servers.ts';
import { need } from './shape.ts';
import type { Asked, FakeProvider, Surface } from './wire.ts';

const filter = { hate: { filtered: false, severity: 'safe' }, violence: { filtered: false, severity: 'safe' } };

const chat = chatSurface({
  ...openaiServer,
  name: 'azure-openai',
  auth: 'azure',
  // A deployment's name says nothing about its model.
  isReasoning: (model) => model.startsWith('reasoning'),
  before: [
    {
      id: '',
      object: '',
      created: 0,
      model: '',
      choices: [],
      prompt_filter_results: [{ prompt_index: 0, content_filter_results: filter }],
    },
  ],
  // Annotations come later than the text they are about, in a choice without a delta.
  after: [
    {
      id: '',
      object: '',
      created: 0,
      model: '',
      choices: [
        { index: 0, finish_reason: null, content_filter_offsets: { check_offset: 1 }, content_filter_results: filter },
      ],
    },
  ],
  more: () => ({
    model: 'gpt-4.1-2025-04-14',
    prompt_filter_results: [{ prompt_index: 0, content_filter_results: filter }],
  }),
  choiceMore: { content_filter_results: filter },
});

function checkAzure({ path, query, headers }: Asked): void {
  const hasKey = headers['api-key'] !== undefined || /^Bearer \S+$/.test(headers.authorization ?? '');
  need(hasKey, 'Access denied due to invalid subscription key or wrong API endpoint.', { status: 401, code: '401' });
  const version = query.get('api-version');
  if (path.startsWith('/deployments/'))
    need(/^\d{4}-\d\d-\d\d(-preview)?$/.test(version ?? ''), 'Resource not found', { status: 404, code: '404' });
  else need(version === null || ['preview', 'latest', 'v1'].includes(version), 'API version not supported');
}

/** The same surface behind Azure's key; in the dated style the address names the deployment, and the body need not. */
const azure = (surface: Surface, path: RegExp): Surface => {
  const withModel = (asked: Asked): Asked => {
    const named = /^\/deployments\/([^/]+)\//.exec(asked.path)?.[1];
    return named === undefined ? asked : { ...asked, body: { ...asked.body, model: decodeURIComponent(named) } };
  };
  return {
    ...surface,
    path,
    check(asked) {
      checkAzure(asked);
      surface.check(withModel(asked));
    },
    hear: (asked) => surface.hear(withModel(asked)),
    whole: (said, asked) => surface.whole(said, withModel(asked)),
    frames: (said, asked) => surface.frames(said, withModel(asked)),
  };
};

const embeddings = embeddingsSurface('azure-openai', { auth: 'azure', unknown: 'refused' });

export const azureProvider: FakeProvider = {
  root: '/openai',
  surfaces: [
    azure(chat, /^\/(v1|deployments\/[^/]+)\/chat\/completions$/),
    azure(embeddings, /^\/(v1|deployments\/[^/]+)\/embeddings$/),
  ],
  requestIdHeader: 'apim-request-id',
  error: (status, message, code) => ({
    error: {
      code: code ?? (status === 404 ? '404' : 'BadRequest'),
      message,
      type: 'invalid_request_error',
      param: null,
    },
  }),
};

/** `docs/errors.md`, rendered from the catalogue of problems. A test holds the page and the catalogue equal. */
import { type ProblemType, problems } from '@waybill/shared/domain/problem.ts';

const intro = `# Errors

Every error a user can meet, over HTTP, in files, in the configuration and on the command line. An HTTP error is

\`\`\`json
{"error":{"message":"…","type":"…","param":null,"code":"…","request_id":"…"}}
\`\`\`

Programs should look at \`code\`: a code never changes its meaning, while a message may be reworded. \`param\` names the
field at fault. The message says what was done, with which value, and what to do about it.

`;

export function renderErrorsPage(): string {
  const rows = Object.entries(problems)
    .map(([code, [status, type, meaning]]): [string, number, ProblemType, string] => [code, status, type, meaning])
    // By status; those of one status in the catalogue's order.
    .sort((a, b) => a[1] - b[1])
    .map(
      ([code, status, type, meaning]) =>
        `| \`${code}\` | ${status} | \`${type}\` | ${meaning.replaceAll('|', '\\|')} |`,
    );
  return `${intro}| code | status | type | meaning |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
}

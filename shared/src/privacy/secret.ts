/**
 * Secrets by the form their makers gave them. A word such as "password" alone proves nothing, so passwords without a
 * form are not found.
 *
 * Every pattern begins with letters that are rare in text and asks for no more characters than the form has, so that a
 * hostile text cannot make it read the same stretch again and again.
 */

/** Not within a longer word: `disk-…` is no `sk-…`. */
const alone = '(?<![A-Za-z0-9_])';

/** The text behind the prefix must look random; a placeholder such as `your-key-goes-here` does not. */
const prefixed: readonly RegExp[] = [
  // OpenAI, Anthropic, OpenRouter and the many that use their form.
  'sk-(?:proj|svcacct|admin|service|None|or-v1|ant(?:-[a-z]{2,8}[0-9]{2})?|lf)-([A-Za-z0-9_-]{20,40})',
  'sk-([A-Za-z0-9]{20,48})',
  // Amazon: access keys.
  '(?:AKIA|ASIA)([A-Z0-9]{16})(?![A-Za-z0-9])',
  // GitHub, GitLab, npm, PyPI.
  'gh[opsur]_([A-Za-z0-9]{36})',
  'github_pat_([A-Za-z0-9_]{22,40})',
  'gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat)-([A-Za-z0-9_-]{20})',
  'npm_([A-Za-z0-9]{36})',
  'pypi-(AgE[A-Za-z0-9_-]{40})',
  // Slack.
  'xox[abceoprs](?:\\.xox[bp])?-([A-Za-z0-9-]{16,40})',
  'xapp-([0-9]-[A-Za-z0-9-]{16,40})',
  'hooks\\.slack\\.com/(?:services|workflows)/(T[A-Z0-9]{6,12}/[A-Z0-9]{6,14}/[A-Za-z0-9]{16,24})',
  // Google: API keys, client secrets, access tokens.
  'AIza([A-Za-z0-9_-]{35})',
  'AQ\\.(Ab[A-Za-z0-9_-]{40})',
  'GOCSPX-([A-Za-z0-9_-]{28})',
  'ya29\\.([A-Za-z0-9_-]{30})',
  // Stripe, Twilio, SendGrid, Shopify, Telegram.
  '(?:sk|rk)_(?:live|test)_([A-Za-z0-9]{16})',
  'SK([0-9a-f]{32})(?![A-Za-z0-9])',
  'SG\\.([A-Za-z0-9_-]{16,32}\\.[A-Za-z0-9_-]{16,64})',
  'shp(?:at|ca|pa|ss)_([0-9a-fA-F]{32})',
  '[0-9]{8,10}:(AA[A-Za-z0-9_-]{33})(?![A-Za-z0-9_-])',
  // Hugging Face, Groq, xAI, Perplexity, NVIDIA, Replicate.
  'hf_([A-Za-z0-9]{30})',
  'gsk_([A-Za-z0-9]{40})',
  'xai-([A-Za-z0-9]{40})',
  'pplx-([A-Za-z0-9]{40})',
  'nvapi-([A-Za-z0-9_-]{40})',
  'r8_([A-Za-z0-9]{37})',
  // Databricks, DigitalOcean, HashiCorp Vault, Grafana.
  'dapi([0-9a-f]{32})',
  'do[opr]_v1_([0-9a-f]{64})',
  'hv[sb]\\.([A-Za-z0-9_-]{24})',
  'gl(?:sa|c)_([A-Za-z0-9+/_]{32})',
  // Azure: the keys of a connection string.
  '(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{43,86}={1,2})',
  // Standard Webhooks; API keys of Waybill.
  'whsec_([A-Za-z0-9+/]{24})',
  'wb_([0-9a-f]{16}_[A-Za-z0-9_-]{51})(?![A-Za-z0-9_-])',
].map((form) => new RegExp(alone + form, 'g'));

const looksRandom = (body: string): boolean => /[0-9]/.test(body) || (/[a-z]/.test(body) && /[A-Z]/.test(body));

/** The start of a private key in PEM, or of one in PGP armour. */
const privateKey = /-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----|AGE-SECRET-KEY-1[A-Z0-9]{20}/;

/** A signed token, or one of five parts, which is encrypted. The first part starts as `{"` does in base64. */
const webToken =
  /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.(?:eyJ[A-Za-z0-9_-]{8,}\.|[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.)/;

/** Forms that would be anything without the word before them. */
const named: readonly RegExp[] = [
  /secret[ _-]?access[ _-]?key["'\s:=>]{1,8}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])/i,
  /auth[ _-]?token["'\s:=>]{1,8}[0-9a-f]{32}(?![A-Za-z0-9])/i,
  /authorization["'\s:=]{1,8}(?:bearer|basic|token) (?=[A-Za-z._~+/-]{0,40}[0-9])[A-Za-z0-9._~+/-]{20}/i,
];

/** `scheme://user:password@host`. The password may hold one `@` that should have been encoded. */
const inUrl =
  /(?<=[a-z0-9]):\/\/([^\s:/@?#"'<>]{0,100}):([^\s/@"'<>]{4,200}|[^\s/@"'<>]{0,100}@[^\s/@"'<>,;:?#&]{3,100})@[A-Za-z0-9[]/gi;

/** What stands in the place of a password, from its first to its last character; a real one may begin like it. */
const placeholders: readonly RegExp[] = [
  /^(?:password|passwd|passw|pass|pwd|secret|x+|\*+)$/i,
  // A variable; in small letters only with a word that says what it is: `$ecret1` is none.
  /^\$(?:[A-Z_][A-Z0-9_]*|(?:[a-z]+_)*(?:password|passwd|pass|pwd|secret|token|key)|[a-z]+(?:Password|Passwd|Pass|Pwd|Secret|Token|Key))$/,
  /^\$\([A-Za-z_]\w*\)$/,
  /^(?:[$#]?\{{1,2}[^{}]+\}{1,2})+$/,
  /^%{1,2}[A-Za-z_]\w*%{1,2}$/,
  /^%\(\w+\)s$/,
  /^\[[^[\]]+\]$/,
  /^<[^<>]+>$/,
];

/** `https://example.com:8080,…`: the end of a port, behind what is the name of a host and not of a user. */
const port = /^[0-9]{1,5}[,;?#&|(){}[\]]/;
const hostName = /^(?:localhost|\[.*|.*\..*)$/i;

function isPassword(user: string, text: string): boolean {
  const decoded = text.replace(/%([2-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const first = text.replace(/@.*$/s, '');
  if (hostName.test(user) && port.test(text)) return false;
  return ![first, decoded].some((each) => placeholders.some((form) => form.test(each)));
}

export function holdsSecret(text: string): boolean {
  return (
    privateKey.test(text) ||
    webToken.test(text) ||
    prefixed.some((form) => matches(text, form, looksRandom)) ||
    named.some((form) => form.test(text)) ||
    text.matchAll(inUrl).some(([, user = '', password = '']) => isPassword(user, password))
  );
}

function matches(text: string, form: RegExp, isReal: (body: string) => boolean): boolean {
  for (const [, body = ''] of text.matchAll(form)) if (isReal(body)) return true;
  return false;
}

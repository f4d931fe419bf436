// The forms in which the value of a secret turns up in text: as it is, line by line, and as shells, URLs, JSON and base64 write it.
// Whoever hides values, or looks for them where they must not be, looks for the same forms.

/** Shorter ones would blank out half of a log, and hide nothing. */
const shortest = 4;

/** What is shorter may be anybody's word: it is hidden in logs, but nothing is refused because such a word is in it. */
const telling = 8;

/** The widths at which `base64` (76) and `openssl base64` (64) break their lines. */
const wraps = [76, 64];

/** A secret comes from the environment variable of its name, as written or in upper case. */
export function secretValue(name: string, env: Readonly<Record<string, string | undefined>>): string | undefined {
  return env[name] ?? env[name.toUpperCase()];
}

/** Gives a text with `***` in place of what must not be read. */
export type Mask = (text: string) => string;

/** Writes `***` for each value in any of its forms, for each line of one that has several, and for the credentials of any URL. */
export function createMask(values: readonly string[]): Mask {
  const forms = [...new Set(values.flatMap((value) => linesOf(value).concat(wholeForms(value))))]
    .filter((form) => form.length >= shortest && form !== 'true' && form !== 'false')
    .sort((a, b) => b.length - a.length);
  return (text) => maskUrls(forms.reduce((masked, form) => masked.replaceAll(form, '***'), text));
}

/**
 * The same data with every text masked, but for keys and for what stands under the keys that are `kept`. Where nothing is to be masked,
 * as in nearly every line of a build, it is the data itself.
 */
export function maskTexts<T>(data: T, mask: Mask, kept: ReadonlySet<string>): T {
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') return mask(value);
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) {
      const masked = value.map(walk);
      return masked.some((item, at) => item !== value[at]) ? masked : value;
    }
    let copy: Record<string, unknown> | undefined;
    for (const [key, item] of Object.entries(value)) {
      const masked = kept.has(key) ? item : walk(item);
      if (masked === item) continue;
      copy ??= { ...value };
      copy[key] = masked;
    }
    return copy ?? value;
  };
  // The shape is the same: only texts have changed.
  return walk(data) as T;
}

/**
 * Tells whether a text gives one of the values away. A value of fewer than 8 characters does only where it is the whole text, or all
 * that follows the first `=`; of a value of several lines, a line does if it is 16 characters or more without a blank: others, as
 * `-----BEGIN CERTIFICATE-----`, are no secret.
 */
export function findsSecrets(values: readonly string[]): (text: string) => boolean {
  const forms = new Set(
    values.flatMap((value) => [
      ...wholeForms(value),
      ...linesOf(value).filter((line) => /^\S{16,}$/.test(line) && !line.startsWith('-----')),
    ]),
  );
  const long = [...forms].filter((form) => form.length >= telling);
  const short = new Set(values.map((value) => value.trim()).filter(({ length: n }) => n >= shortest && n < telling));
  for (const word of ['true', 'false']) short.delete(word);
  return (text) =>
    long.some((form) => text.includes(form)) || short.has(text) || short.has(text.slice(text.indexOf('=') + 1));
}

/** Passwords and tokens in the URLs of a text: of `https://ci:hunter22@host` and of `https://hunter22@host`. */
export function urlCredentials(text: string): string[] {
  return [...text.matchAll(userInfo)].flatMap(({ 0: found, index }) => {
    const { user, password } = splitUserInfo(text, found, index);
    const secret = password ?? user;
    return secret === undefined || secret === '' ? [] : [...new Set([secret, decoded(secret)])];
  });
}

/** What stands between `://` and the host. A password may hold an `@`: the last one counts. */
const userInfo = /(?<=:\/\/)[^\s/?#"'<>]*@/g;

/** The name alone is a secret only over HTTP, where hosts take a token for it; the `ci` of `ssh://ci@host` is none. */
function splitUserInfo(text: string, found: string, at: number): { user?: string; password?: string; kept: string } {
  const whole = found.slice(0, -1);
  const colon = whole.indexOf(':');
  if (colon >= 0) return { password: whole.slice(colon + 1), kept: whole.slice(0, colon + 1) };
  return /https?:\/\/$/i.test(text.slice(Math.max(0, at - 8), at)) ? { user: whole, kept: '' } : { kept: whole };
}

function maskUrls(text: string): string {
  if (!text.includes('://')) return text;
  return text.replace(userInfo, (found, at: number) => {
    const { user, password, kept } = splitUserInfo(text, found, at);
    return user || password ? `${kept}***@` : found;
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The value, and each of its lines: a log has one at a time. */
function linesOf(value: string): string[] {
  return value.split(/\r?\n/).map((line) => line.trim());
}

function wholeForms(value: string): string[] {
  const whole = value.trim();
  if (whole.length < shortest) return [];
  return [whole, ...jsonForms(whole), ...urlForms(whole), ...shellForms(whole), ...base64Forms(value)];
}

/** JSON in a text, JSON in JSON, and Go's JSON, which escapes what HTML would read. */
function jsonForms(value: string): string[] {
  const escaped = JSON.stringify(value).slice(1, -1);
  const go = escaped.replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
  return [escaped, go, JSON.stringify(escaped).slice(1, -1), JSON.stringify(go).slice(1, -1)];
}

/** Encoders differ in what they leave alone, in the case of their digits and in the blank. */
function urlForms(value: string): string[] {
  const text = value.toWellFormed();
  const strict = encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  const forms = [
    strict,
    encodeURIComponent(text),
    encodeURI(text),
    new URLSearchParams({ v: text }).toString().slice(2),
  ];
  return forms.flatMap((form) => [
    form,
    form.replaceAll('%20', '+'),
    form.replace(/%../g, (code) => code.toLowerCase()),
  ]);
}

/** Inside single quotes (as sh -x and as Python write it), inside double quotes, and without quotes. */
function shellForms(value: string): string[] {
  return [
    value.replaceAll("'", "'\\''"),
    value.replaceAll("'", `'"'"'`),
    value.replace(/[\\"$`]/g, '\\$&'),
    value.replace(/[^\w@%+=:,./-]/gu, '\\$&'),
  ];
}

/**
 * Of the value by itself and with a line end; and of one that stands behind other text, as in `user:value`, whatever that is: it comes
 * in three shapes, by how many bytes stand before it, of which the characters count that no other byte has a part in (RFC 4648).
 */
function base64Forms(value: string): string[] {
  const whole = value.trim();
  const bytes = Buffer.from(whole);
  const forms = [...new Set([whole, value, `${whole}\n`])].map((text) => Buffer.from(text).toString('base64'));
  for (const before of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const inner = encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    if (inner.length >= telling) forms.push(inner);
  }
  const wrapped = forms.flatMap((form) => wraps.flatMap((width) => (form.length > width ? pieces(form, width) : [])));
  return [...forms, ...wrapped].flatMap((form) => [form, form.replaceAll('+', '-').replaceAll('/', '_')]);
}

function pieces(text: string, width: number): string[] {
  const all: string[] = [];
  for (let at = 0; at < text.length; at += width) all.push(text.slice(at, at + width));
  return all.filter((piece) => piece.length >= telling);
}

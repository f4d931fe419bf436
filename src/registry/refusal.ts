// What a registry's refusals and the network's errors mean to a person: the one place that words them, with what to do.
import { z } from 'zod';
import { type Failure, fail, type Result } from '../failure.ts';

/** A stream can only throw, so a failure travels through one inside this error; streamFailure (image/store.ts) takes it out again. */
export class StreamFailure extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.kind === 'cancelled' ? 'cancelled' : 'message' in failure ? failure.message : failure.kind);
    this.name = 'StreamFailure';
    this.failure = failure;
  }
}

/** What one exchange was about; `where` is the `host/repository:tag` that messages name. */
export interface Subject {
  registry: string;
  where: string;
}

/** distribution-spec, "Error Codes"; proxies in front of registries answer with anything, so all of it is optional. */
const said = z.string().optional().catch(undefined);
const errorsSchema = z.looseObject({ errors: z.array(z.looseObject({ code: said, message: said })).optional() });

/** The failure that an answer other than the expected ones stands for. */
export function refused(
  subject: Subject,
  answer: { status: number; bytes: Uint8Array },
  attempts: number,
): Result<never> {
  const { status } = answer;
  const text = Buffer.from(answer.bytes).toString('utf8');
  const first = parseErrors(text)[0];
  const code = first?.code;
  const words = [code, first?.message === code ? undefined : first?.message].filter(Boolean).join(': ');
  const help =
    code === 'MANIFEST_BLOB_UNKNOWN' ? 'push what the manifest names before it' : helpFor(subject, status, text);
  return fail({
    kind: 'registry',
    transient: isTransient(status),
    status,
    ...(code ? { code } : {}),
    message: `${subject.registry} answered ${status}${words ? ` (${words})` : ''}${attempts > 1 ? `, ${attempts} times` : ''}`,
    where: subject.where,
    ...(help ? { help } : {}),
  });
}

/** The failure of a request that wasn't sent, or not again, because its host limits how often it is asked. Times in ms. */
export function limited(
  subject: Subject,
  limit: { wait: number; status?: number; limit?: number | undefined; window?: number | undefined },
): Result<never> {
  const { registry } = subject;
  const { wait, status, window } = limit;
  const allowed =
    limit.limit === undefined ? '' : ` of ${limit.limit}${window === undefined ? '' : ` in ${duration(window)}`}`;
  const what =
    status === undefined
      ? `${registry} has no request left for this machine${allowed}`
      : status === 429
        ? `${registry} was asked too often (429)`
        : `${registry} answered ${status}`;
  return fail({
    kind: 'registry',
    // It passes, but not while anybody waits.
    transient: false,
    status: status ?? 429,
    message: `${what}, and may be asked again in ${duration(wait)}`,
    where: subject.where,
    help: `run 'docker login ${registry}', which raises the limit on Docker Hub; pull from a mirror; or run again then`,
  });
}

function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.ceil(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.ceil(seconds / 3600)} h` : `${Math.ceil(seconds / 86_400)} days`;
}

export function isTransient(status: number): boolean {
  // 507: the registry's disk is full, and stays so for longer than a run waits.
  return status === 408 || status === 429 || (status >= 500 && ![501, 505, 507].includes(status));
}

function parseErrors(text: string): { code?: string | undefined; message?: string | undefined }[] {
  try {
    const parsed = errorsSchema.safeParse(JSON.parse(text));
    return parsed.success ? (parsed.data.errors ?? []) : [];
  } catch {
    return [];
  }
}

function helpFor(subject: Subject, status: number, text: string): string | undefined {
  const { registry } = subject;
  switch (status) {
    case 401:
      return `run 'docker login ${registry}'; registries also answer so for a repository that doesn't exist`;
    case 403:
      return `run 'docker login ${registry}' as a user who may do this there`;
    case 404:
      return 'check the name and the tag; a private repository also looks like this without a login';
    case 400:
      // Go's http server, where plain HTTP meets a TLS port.
      return text.includes('HTTP request to an HTTPS server')
        ? `${registry} speaks HTTPS: take its plainHttp out of the config`
        : undefined;
    case 413:
      return 'the registry, or a proxy in front of it, limits the size of uploads';
    case 507:
      return 'make room on the disk of the registry';
    case 429:
      return `${registry} limits how often it may be asked; 'docker login ${registry}' raises the limit on Docker Hub`;
    default:
      return undefined;
  }
}

const certificateErrors = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_GET_ISSUER_CERT',
  'CERT_UNTRUSTED',
]);

/** The failure that an error of the connection stands for. `url` is what was asked, after redirects. */
export function unreached(subject: Subject, url: URL, error: unknown, attempts: number): Result<never> {
  const { host } = url;
  const { code, text } = networkError(error);
  // Docker Hub's registry has another name than its host; a token server or a storage is called what its host is.
  const name = host.endsWith('.docker.io') && subject.registry === 'docker.io' ? subject.registry : host;
  const setting = (value: string): string => `registries: { "${name}": { ${value} } }`;
  const times = attempts > 1 ? `, tried ${attempts} times` : '';
  const failure = (transient: boolean, message: string, help?: string): Result<never> =>
    fail({
      kind: 'registry',
      transient,
      message: `${message}${times}`,
      where: subject.where,
      ...(help ? { help } : {}),
    });
  if (certificateErrors.has(code)) {
    return failure(false, `the certificate of ${host} is signed by nobody this machine trusts`, setting('ca: ca.pem'));
  }
  const identity = `put client.cert and client.key into /etc/docker/certs.d/${name}`;
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA/.test(code)) {
    return failure(false, `${host} wants a certificate of this client, and takes none that it was shown`, identity);
  }
  if (code === 'CERT_HAS_EXPIRED') return failure(false, `the certificate of ${host} has expired`);
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return failure(false, `the certificate of ${host} is for another name`);
  if (speaksPlainHttp(code, text)) {
    return failure(false, `${host} doesn't speak HTTPS`, `if it is to be plain HTTP: ${setting('plainHttp: true')}`);
  }
  switch (code) {
    case 'ECONNREFUSED':
      return failure(true, `nothing listens at ${host}`, 'check the host and port, and that the registry runs');
    case 'ENOTFOUND':
      return failure(false, `no host is called ${host}`, 'check the name, and this machine’s DNS');
    case 'EAI_AGAIN':
      return failure(true, `the name ${host} can't be looked up: DNS doesn't answer`);
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return failure(true, `${host} doesn't answer`, 'check the network and its firewalls, and HTTPS_PROXY');
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return failure(true, `${host} took the request and fell silent`);
    case 'SPLITBUILD_DEADLINE':
      return failure(true, `${host} answers too slowly: ${text}`);
    case 'UND_ERR_HEADERS_OVERFLOW':
      return failure(false, `${host} answers with headers that are larger than 16 KiB`, 'is it a registry?');
    case 'UND_ERR_SOCKET':
      // undici hears a server hang up before it hears the alert that says why (TLS 1.3).
      return failure(
        true,
        `the connection to ${host} broke: ${text}`,
        url.protocol === 'https:' ? `if it wants a certificate of its clients: ${identity}` : undefined,
      );
    default:
      return failure(true, `the connection to ${host} broke: ${text}`);
  }
}

/** Whether an error of the connection is worth another attempt. */
export function isPassing(error: unknown): boolean {
  const { code, text } = networkError(error);
  return !(
    certificateErrors.has(code) ||
    code.startsWith('CERT_') ||
    code.startsWith('ERR_TLS') ||
    code === 'ENOTFOUND' ||
    code === 'UND_ERR_INVALID_ARG' ||
    code === 'UND_ERR_HEADERS_OVERFLOW' ||
    code === 'SPLITBUILD_DEADLINE' ||
    /^ERR_SSL_.*(CERTIFICATE|HANDSHAKE|UNKNOWN_CA)/.test(code) ||
    speaksPlainHttp(code, text)
  );
}

function speaksPlainHttp(code: string, text: string): boolean {
  return (
    code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG' || /wrong version/.test(text)
  );
}

function networkError(error: unknown): { code: string; text: string } {
  if (!(error instanceof Error)) return { code: '', text: String(error) };
  // Node joins the errors of a host's several addresses (happy eyeballs); the first says as much as all.
  const inner: unknown = error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
  const code: unknown = inner instanceof Error && 'code' in inner ? inner.code : undefined;
  const text = inner instanceof Error ? inner.message : error.message;
  return { code: typeof code === 'string' ? code : '', text };
}

// What the end of an engine's output means: the Dockerfile's own failure, or something that may pass if it is tried again.
import type { Failure } from '../failure.ts';
import type { Exited } from './process.ts';

const engineLost =
  /Cannot connect to the Docker daemon|error during connect|rpc error: code = (Unavailable|Canceled)|failed to solve: (Unavailable|Canceled): |error reading from server|connection reset by peer|transport is closing|closed network connection/i;
/** What the client itself ends with when its engine dies under it; a build's own output may say the same, but not as the last word. */
const endedInside = /^(?:ERROR: )?(?:failed to [^:]+: )*(?:unexpected )?EOF$/;
/** Seen of engines that push two images with layers in common to one repository at a time: the next try succeeds. */
const pushRace = /digest invalid|blob unknown|blob upload unknown/i;
const registryLost =
  /(failed to (do request|resolve|fetch|copy|authorize|push)|pull access|manifest|received unexpected HTTP status|blob upload).*(connection refused|timeout|EOF|no such host|TLS handshake|50[0234]|429|too ?many ?requests)/i;

/** Where an engine is told which registries it may trust. */
export interface TrustHelp {
  plainHttp: string;
  certificate(host: string): string;
}

const httpsExpected = /server gave HTTP response to HTTPS client/i;
// Before Docker 23, BuildKit takes a host without a scheme for one of TLS that is not to be checked.
const dockerTrust: TrustHelp = {
  plainHttp:
    'the registry speaks plain HTTP: add it to the engine’s insecure-registries as "http://HOST:PORT" (daemon.json), or give it TLS',
  certificate: (host) => `put its CA into /etc/docker/certs.d/${host}/ca.crt on the engine's machine`,
};

export const buildkitTrust: TrustHelp = {
  plainHttp:
    'the registry speaks plain HTTP: write `[registry."HOST:PORT"]` and `http = true` into the buildkitd.toml there, or give it TLS',
  certificate: (host) => `write [registry."${host}"] with ca = ["FILE"] into the buildkitd.toml there`,
};

/** A daemon that is asked and does not say what it should. `more`: what to do, and what was tried. */
export function noAnswer(
  engine: 'Docker Engine' | 'BuildKit',
  reason: string,
  where: string,
  more: { help: string; tried?: string[] },
): Failure {
  return { kind: 'engine', transient: true, message: `no ${engine} answers: ${reason}`, where, ...more };
}

/** Exit code and last lines of a build that did not succeed. */
export function buildFailure(exitCode: number, lines: string[], where: string, trust = dockerTrust): Failure {
  const end = lines.slice(-15).join('\n');
  if (engineLost.test(end) || endedInside.test(lines.at(-1)?.trim() ?? '')) {
    const message = `the engine was lost during the build: ${lastWords(lines)}`;
    return { kind: 'engine', transient: true, message, where, help: 'look at the machine and its engine’s log' };
  }
  if (httpsExpected.test(end)) {
    return {
      kind: 'registry',
      transient: false,
      message: `an image could not be fetched: ${lastWords(lines)}`,
      where,
      help: trust.plainHttp,
    };
  }
  if (registryLost.test(end)) {
    return { kind: 'registry', transient: true, message: `an image could not be fetched: ${lastWords(lines)}`, where };
  }
  // The client ends with 1 whatever it was; the step's own code is in its words.
  const step = /exit (?:code|status):? (\d+)/.exec(end)?.[1];
  return {
    kind: 'build',
    exitCode: step ? Number(step) : exitCode,
    log: lines.slice(-25),
    message: `the build failed: ${lastWords(lines)}`,
    where,
  };
}

/** How a command that was run in an image ended, if not with 0. From 125 on it is the engine that speaks (docker run, "Exit status"). */
export function runFailure(command: string | string[], { exitCode, lines }: Exited, where: string): Failure {
  const end = lines.slice(-15).join('\n');
  const message = lastWords(lines);
  if (engineLost.test(end)) {
    return { kind: 'engine', transient: true, message: `the engine was lost during a test: ${message}`, where };
  }
  if (exitCode === 125) {
    const transient = registryLost.test(end);
    return { kind: 'engine', transient, message: `the test can't be run: ${message}`, where };
  }
  const written = typeof command === 'string' ? command : command.join(' ');
  return {
    kind: 'check',
    exitCode,
    log: lines.slice(-25),
    message: `'${written}' ended with ${exitCode}`,
    where,
    ...(exitCode === 127 || exitCode === 126
      ? { help: 'is the program in the image? A text is run by sh; where there is none, write the words as a list' }
      : {}),
  };
}

/** Last lines of a push that did not succeed. */
export function pushFailure(reference: string, lines: string[], where: string, trust = dockerTrust): Failure {
  const words = lastWords(lines);
  const failure = { kind: 'registry', message: `${reference} can't be pushed: ${words}`, where } as const;
  if (httpsExpected.test(words)) return { ...failure, transient: false, help: trust.plainHttp };
  if (/x509|certificate/i.test(words)) {
    const help = `the engine does not trust the registry's certificate: ${trust.certificate(reference.split('/')[0] ?? '')}`;
    return { ...failure, transient: false, help };
  }
  if (/denied|unauthorized|authentication required|no basic auth/i.test(words)) {
    const host = reference.split('/')[0];
    return { ...failure, transient: false, help: `log in with an account that may push there: docker login ${host}` };
  }
  const transient =
    pushRace.test(lines.slice(-5).join('\n')) ||
    /refused|reset|timeout|timed out|EOF|unavailable|50[0234]|429|too ?many/i.test(words) ||
    engineLost.test(words);
  return { ...failure, transient, help: 'check that the engine’s machine can reach the registry' };
}

/** The line that says why: the last with `error`, or the last at all. */
function lastWords(lines: string[]): string {
  const said = lines.map((line) => line.trim()).filter(Boolean);
  // A registry's list of errors: what it says is below its title.
  const title = said.lastIndexOf('errors:');
  if (title >= 0 && title < said.length - 1) return said.slice(title + 1).join('; ');
  return (
    said.findLast((line) => /error|failed|denied|unauthorized/i.test(line)) ??
    said.at(-1) ??
    'no output'
  ).replace(/^ERROR: |^error: (?=failed to )/, '');
}

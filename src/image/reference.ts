// Image references, parsed as distribution/reference does: `busybox` is `docker.io/library/busybox:latest`.
import { fail, ok, type Result } from '../failure.ts';
import type { Digest } from './oci.ts';

export interface Reference {
  /** Host and port: `docker.io`, `localhost:5000`. */
  registry: string;
  /** `library/busybox`, `hysds/base`. */
  repository: string;
  tag?: string;
  digest?: Digest;
}

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const host =
  '(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?';
const pattern = new RegExp(
  `^((?:(${host})/)?(${component}(?:/${component})*))(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}))?$`,
);

const wholeHost = new RegExp(`^${host}$`);
/** What may be the id of an image is no name (distribution/reference, normalize.go). */
const identifier = /^[a-f0-9]{64}$/;

/** Parses what a person writes; no tag is added where there is none. */
export function parseReference(text: string): Result<Reference> {
  const match = pattern.exec(text);
  if (!match) return invalid(text);
  const [, name = '', , , tag, digest] = match;
  // The first component is a host only if it looks like one (distribution/reference, splitDockerDomain).
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const isHost =
    first !== '' &&
    (first.includes('.') || first.includes(':') || first === 'localhost' || first.toLowerCase() !== first);
  if ((isHost && !wholeHost.test(first)) || identifier.test(text)) return invalid(text);
  let registry = isHost ? first : 'docker.io';
  let repository = isHost ? name.slice(slash + 1) : name;
  if (registry === 'index.docker.io') registry = 'docker.io';
  if (registry === 'docker.io' && !repository.includes('/')) repository = `library/${repository}`;
  if (repository.length > 255) return invalid(text);
  return ok({ registry, repository, ...(tag ? { tag } : {}), ...(digest ? { digest } : {}) });
}

function invalid(text: string): Result<never> {
  return fail({
    kind: 'usage',
    message: `'${text}' is not an image reference`,
    help: 'write [host[:port]/]name[:tag][@sha256:…], in lower case',
  });
}

/** `docker.io/library/busybox:1@sha256:…`, always with the host. */
export function formatReference(reference: Reference): string {
  const { registry, repository, tag, digest } = reference;
  return `${registry}/${repository}${tag ? `:${tag}` : ''}${digest ? `@${digest}` : ''}`;
}

/** `docker.io/library/busybox`: what two references to the same repository share. */
export function repositoryName(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`;
}

/** Whether a registry's (or engine's) `host[:port]` is this machine itself. */
export function isLoopback(host: string): boolean {
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$/.test(host);
}

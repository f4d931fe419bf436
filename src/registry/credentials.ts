// Logins as docker and podman store them: config.json's auths, credential helpers, containers' auth.json. Nothing that is
// read here may get into a message: a failure says which file or helper it was, and never what was in it.
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { fail, ok, type Result } from '../failure.ts';

export type Credential =
  | { kind: 'basic'; username: string; password: string }
  /** Exchanged for access tokens by POST (docker's identitytoken). */
  | { kind: 'identity'; token: string }
  /** Sent as it is (docker's registrytoken). */
  | { kind: 'token'; token: string };

export interface CredentialStore {
  /** The login for a registry as references name it (`docker.io`, `localhost:5000`); undefined means anonymous. */
  get(registry: string, signal: AbortSignal): Promise<Result<Credential | undefined>>;
}

export const anonymous: CredentialStore = { get: async () => ok(undefined) };

const authSchema = z.looseObject({
  /** base64 of `user:password`. */
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
});
const configSchema = z.looseObject({
  auths: z.record(z.string(), authSchema).nullish(),
  credHelpers: z.record(z.string(), z.string()).nullish(),
  credsStore: z.string().optional(),
});
type DockerConfig = z.infer<typeof configSchema>;

const helperSchema = z.looseObject({ Username: z.string(), Secret: z.string() });

/** Key of Docker Hub in docker's config, from the days of the first registry protocol. */
const dockerHub = 'https://index.docker.io/v1/';
/** Ms that a helper's answer is used again: a run asks for many tokens, and helpers are slow. */
const helperMemory = 5 * 60_000;

/**
 * Docker's and podman's stored logins. Files are read when a registry first asks for a login, in this order:
 * $DOCKER_AUTH_CONFIG (its text), $REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json or ~/.docker/config.json,
 * $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json.
 */
export function storedCredentials(
  env: Readonly<Record<string, string | undefined>> = process.env,
  now: () => number = Date.now,
): CredentialStore {
  const answers = new Map<string, { credential: Credential | undefined; until: number }>();

  async function askHelper(
    helper: string,
    registry: string,
    signal: AbortSignal,
  ): Promise<Result<Credential | undefined>> {
    const key = `${helper} ${registry}`;
    const known = answers.get(key);
    if (known && known.until > now()) return ok(known.credential);
    const answer = await runHelper(helper, registry, env, signal);
    if (answer.ok) answers.set(key, { credential: answer.value, until: now() + helperMemory });
    return answer;
  }

  return {
    get: async (registry, signal) => {
      for (const source of sources(env)) {
        const config = await readConfig(source);
        if (!config.ok) return config;
        if (!config.value) continue;
        const helper = find(config.value.credHelpers ?? {}, registry) ?? config.value.credsStore;
        if (helper) {
          const answer = await askHelper(helper, registry, signal);
          if (!answer.ok || answer.value) return answer;
        }
        const stored = find(config.value.auths ?? {}, registry);
        const credential = stored && credentialOf(stored);
        if (credential === 'malformed') {
          return fail({
            kind: 'system',
            message: `the login for ${registry} is not base64 of user:password`,
            where: source.name,
            help: `run 'docker login ${registry}' again`,
          });
        }
        if (credential) return ok(credential);
      }
      return ok(undefined);
    },
  };
}

interface Source {
  name: string;
  text?: string;
}

function sources(env: Readonly<Record<string, string | undefined>>): Source[] {
  const home = env.HOME ?? homedir();
  const runtime = env.XDG_RUNTIME_DIR;
  return [
    ...(env.DOCKER_AUTH_CONFIG ? [{ name: '$DOCKER_AUTH_CONFIG', text: env.DOCKER_AUTH_CONFIG }] : []),
    ...(env.REGISTRY_AUTH_FILE ? [{ name: env.REGISTRY_AUTH_FILE }] : []),
    { name: join(env.DOCKER_CONFIG || join(home, '.docker'), 'config.json') },
    ...(runtime ? [{ name: join(runtime, 'containers', 'auth.json') }] : []),
    { name: join(env.XDG_CONFIG_HOME || join(home, '.config'), 'containers', 'auth.json') },
  ];
}

async function readConfig(source: Source): Promise<Result<DockerConfig | undefined>> {
  let text = source.text;
  try {
    text ??= await readFile(source.name, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return ok(undefined);
    return fail({ kind: 'system', message: `the logins of registries can't be read: ${code}`, where: source.name });
  }
  if (text.trim() === '') return ok(undefined);
  const malformed = (why: string): Result<never> =>
    fail({
      kind: 'system',
      message: `the logins of registries can't be read: ${why}`,
      where: source.name,
      help: "correct the file, or move it away and run 'docker login' again",
    });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, and with it perhaps a password.
    return malformed('it is not JSON');
  }
  const parsed = configSchema.safeParse(json);
  if (parsed.success) return ok(parsed.data);
  const [issue] = parsed.error.issues;
  return malformed(`'${issue?.path.join('.') ?? ''}' has the wrong type`);
}

/** The entry for a registry. Old clients wrote keys as URLs, so keys are compared as hosts (docker's ConvertToHostname). */
function find<T>(entries: Record<string, T>, registry: string): T | undefined {
  const exact = entries[serverOf(registry)] ?? entries[registry];
  if (exact !== undefined) return exact;
  const found = Object.entries(entries).find(([key]) => hostOf(key) === hostOf(registry));
  return found?.[1];
}

function serverOf(registry: string): string {
  return registry === 'docker.io' ? dockerHub : registry;
}

function hostOf(key: string): string {
  const host = key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host;
}

function credentialOf(stored: z.infer<typeof authSchema>): Credential | 'malformed' | undefined {
  if (stored.registrytoken) return { kind: 'token', token: stored.registrytoken };
  if (stored.identitytoken) return { kind: 'identity', token: stored.identitytoken };
  if (stored.username && stored.password !== undefined) {
    return { kind: 'basic', username: stored.username, password: stored.password };
  }
  if (!stored.auth) return undefined;
  const text = Buffer.from(stored.auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1) return 'malformed';
  // docker pads some with NUL bytes.
  return { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
}

/** docker-credential-helpers: `get` reads the server from stdin, and answers errors on stdout with exit code 1. */
async function runHelper(
  helper: string,
  registry: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<Result<Credential | undefined>> {
  const program = `docker-credential-${helper}`;
  const server = serverOf(registry);
  const failed = (why: string): Result<never> =>
    fail({
      kind: 'system',
      message: `the credential helper ${program} ${why}`,
      where: registry,
      help: `try it by hand: echo ${server} | ${program} get`,
    });
  if (!/^[\w.-]+$/.test(helper)) return failed('has no name of a program');
  const { execa } = await import('execa');
  const done = await execa(program, ['get'], {
    input: server,
    reject: false,
    env: { ...env },
    extendEnv: false,
    cancelSignal: signal,
    timeout: 60_000,
  });
  if (signal.aborted) return fail({ kind: 'cancelled' });
  if (done.code === 'ENOENT') return failed('is not installed');
  if (done.timedOut) return failed("didn't answer within a minute");
  if (done.failed) {
    return done.stdout.includes('credentials not found')
      ? ok(undefined)
      : failed(`ended with ${done.exitCode ?? done.signal}`);
  }
  let answer: z.infer<typeof helperSchema>;
  try {
    answer = helperSchema.parse(JSON.parse(done.stdout));
  } catch {
    return failed("didn't answer with a username and a secret");
  }
  if (answer.Secret === '') return ok(undefined);
  return ok(
    answer.Username === '<token>'
      ? { kind: 'identity', token: answer.Secret }
      : { kind: 'basic', username: answer.Username, password: answer.Secret },
  );
}

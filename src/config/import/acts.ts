// What a command of a CI step does to images: one discriminated union, made from the words of docker, git, skopeo and gh.
import { posix } from 'node:path';
import { type Call, resolvePath } from './shell-expand.ts';
import { symbol } from './symbols.ts';

export interface Build {
  tags: string[];
  /** As given with `--platform`. */
  platforms: string[];
  args: [name: string, value: string][];
  /** Absolute, in the checkout or a clone. */
  dockerfile?: string;
  context: string;
  target?: string;
  secrets: string[];
  pushes: boolean;
  cwd: string;
}

export type Act = { line: number } & (
  | { kind: 'clone'; url: string; ref?: string; folder: string }
  | ({ kind: 'build' } & Build)
  | { kind: 'pull'; reference: string; platform?: string }
  | { kind: 'tag'; from: string; to: string }
  | { kind: 'push'; reference: string }
  /** One image for all platforms, of those for one each. */
  | { kind: 'join'; to: string[]; from: string[] }
  | { kind: 'copy'; from: string; to: string }
  | { kind: 'save'; reference: string; file: string }
  | { kind: 'compress'; file: string }
  | { kind: 'upload'; files: string[]; repository: string; cwd: string }
  /** Something that may well build images: a script, make. */
  | { kind: 'script'; words: string[]; cwd: string }
  /** Nothing that an image depends on: logging in, looking, preparing the machine. */
  | { kind: 'aside' }
  | { kind: 'other'; text: string }
);

const valueFlags = new Set(
  [
    '-t --tag -f --file --build-arg --platform --target --secret --cache-from --cache-to --label --output -o --progress',
    '--network --builder --ssh --add-host --build-context --iidfile --metadata-file --allow --annotation --attest --isolation',
    '--memory -m --no-cache-filter --shm-size --ulimit --cpus --cgroup-parent --sbom --provenance --dest-tls-verify',
    '--os --arch --variant --os-features --os-version --template --authfile --dest-creds --src-creds --multi-arch -R --repo --depth -b --branch',
  ].flatMap((row) => row.split(' ')),
);

interface Arguments {
  flags: Map<string, string[]>;
  positional: string[];
}

function readArguments(words: readonly string[], alsoPlain: readonly string[] = []): Arguments {
  const flags = new Map<string, string[]>();
  const positional: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const [, long, value] = /^(--[\w-]+)=(.*)$/s.exec(word) ?? [];
    const takes = valueFlags.has(word) && !alsoPlain.includes(word);
    if (long !== undefined) add(flags, long, value ?? '');
    else if (takes) add(flags, word, words[++at] ?? '');
    else if (/^-[tfob]./.test(word) && !word.startsWith('--'))
      add(flags, word.slice(0, 2), word.slice(2).replace(/^=/, ''));
    else if (word.startsWith('-') && word !== '-') add(flags, word, '');
    else positional.push(word);
  }
  return { flags, positional };
}

function add(flags: Map<string, string[]>, name: string, value: string): void {
  flags.set(name, [...(flags.get(name) ?? []), value]);
}

const asides =
  /^(apk|apt|apt-get|yum|dnf|brew|pip3?|rustup|gem|echo|printf|ls|cat|pwd|env|set|mkdir|rm|rmdir|cd|sleep|source|\.|eval|shopt|trap|wait|date|uname|id|whoami|which|command|type|grep|head|tail|wc|sort|awk|tr|cut|tee|chmod|chown|df|du|free|nproc|touch|test|alias|umask|hash|ulimit|systemctl|service|qemu\S*|update-binfmts|docker-credential\S*|aws|gcloud|az|oras|cosign|circleci|circleci-agent|lsb_release|timeout|false|read|kill|ps|xargs|find|dockerize|uuidgen|base64)$/;
const docker = /^(docker|podman|nerdctl)$/;
const buildsByName =
  /(^|\/)(make|gmake|just|task|bake|mvn|mvnw|gradle|gradlew|sbt|bazel|earthly|pants|rake|ko|goreleaser|docker-compose|packer|s2i|img|kaniko|nix-build)$/;

/** What may change the files that are built from, or may not: told by its arguments. */
function isAside([name = '', ...args]: string[]): boolean {
  const all = args.join(' ');
  if (/^(npm|yarn|pnpm)$/.test(name)) return /(^| )(-g|--global|global|login|config|whoami)( |$)/.test(all);
  if (name === 'sed') return !args.some((arg) => /^-\w*i|^--in-place/.test(arg));
  if (/^(tar|unzip|curl|wget)$/.test(name))
    return name === 'curl' ? !/(^| )(-\w*[oO]|--output|--remote-name)/.test(all) : /(^| |=)\/(tmp|usr|opt)/.test(all);
  return name === 'jq';
}

/** The acts of one call. */
export function readCall(call: Call): Act[] {
  const words = bare(call.words);
  const at = { line: call.line };
  const [name = '', ...rest] = words;
  if (docker.test(name)) return readDocker(rest, call).map((act) => ({ ...act, ...at }));
  if (name === 'git') return readGit(rest, call).map((act) => ({ ...act, ...at }));
  if (name === 'skopeo' && rest[0] === 'copy') {
    const [from = '', to = ''] = readArguments(rest.slice(1)).positional.map((word) =>
      word.replace(/^docker:\/\//, ''),
    );
    return [{ kind: 'copy', from, to, ...at }];
  }
  if (/^(pigz|gzip|xz|zstd|bzip2)$/.test(name)) {
    const file = rest.find((word) => !word.startsWith('-'));
    return file === undefined
      ? [{ kind: 'aside', ...at }]
      : [{ kind: 'compress', file: resolvePath(call.cwd, file), ...at }];
  }
  if (name === 'gh' && rest[0] === 'release' && rest[1] === 'upload') {
    const { flags, positional } = readArguments(rest.slice(2));
    const repository = (flags.get('-R') ?? flags.get('--repo') ?? [''])[0] ?? '';
    return [{ kind: 'upload', files: positional.slice(1), repository, cwd: call.cwd, ...at }];
  }
  if (name === 'ghr') return [{ kind: 'upload', files: rest.slice(-1), repository: '', cwd: call.cwd, ...at }];
  if (name === 'gh') return [{ kind: 'aside', ...at }];
  if (/^(\.{0,2}\/|.*\.sh$)/.test(name) || buildsByName.test(name))
    return [{ kind: 'script', words, cwd: call.cwd, ...at }];
  if (/^(bash|sh|python3?|node)$/.test(name) && rest.some((word) => /^[^-].*\.\w+$|^\.?\//.test(word)))
    return [{ kind: 'script', words, cwd: call.cwd, ...at }];
  // What is written to a file may be read by the build.
  if (asides.test(name) && (call.output === undefined || /^\/(~\/\.docker\/|dev\/)/.test(call.output)))
    return [{ kind: 'aside', ...at }];
  if (isAside(words)) return [{ kind: 'aside', ...at }];
  const into =
    call.output === undefined
      ? ''
      : ` ${call.appends ? '>>' : '>'} ${call.output.replace(/^\/~/, '$HOME').replace(/^\/(?!dev)/, '')}`;
  return [{ kind: 'other', text: `${words.join(' ')}${into}`, ...at }];
}

/** Without what only runs another command: sudo, time, env A=b. */
function bare(words: readonly string[]): string[] {
  let rest = [...words];
  while (/^(sudo|time|exec|nohup|env|command|retry)$/.test(rest[0] ?? '') && rest.length > 1) {
    rest = rest.slice(1);
    while (/^(-\w+|\w+=.*)$/s.test(rest[0] ?? '')) rest = rest.slice(1);
  }
  return rest;
}

type Bare = Act extends infer One ? (One extends Act ? Omit<One, 'line'> : never) : never;

function readDocker(words: string[], call: Call): Bare[] {
  let rest = words;
  while ((rest[0] ?? '').startsWith('-'))
    rest = rest.slice(/^(-H|--host|--context|-c|--config|-l|--log-level)$/.test(rest[0] ?? '') ? 2 : 1);
  if (rest[0] === 'image' || rest[0] === 'builder') rest = rest.slice(1);
  const [command = '', second = ''] = rest;
  const { flags, positional } = readArguments(rest.slice(1), ['-m', '-f', '-b']);
  const [first = '', next = ''] = positional;
  switch (command) {
    case 'build':
      return [readBuild(rest.slice(1), call.cwd)];
    case 'buildx':
      if (second === 'build' || second === 'b') return [readBuild(rest.slice(2), call.cwd)];
      if (second === 'imagetools' && rest[2] === 'create') return readImagetools(rest.slice(3));
      if (second === 'bake') return [{ kind: 'script', words: ['docker', ...rest], cwd: call.cwd }];
      return [{ kind: 'aside' }];
    case 'pull':
      return [{ kind: 'pull', reference: first, ...optional('platform', flags.get('--platform')?.[0]) }];
    case 'tag':
      return [{ kind: 'tag', from: first, to: next }];
    case 'push':
      return [{ kind: 'push', reference: first }];
    case 'manifest': {
      const [, ...list] = positional;
      const [to = '', ...from] = list;
      if (second === 'create') return [{ kind: 'join', to: [to], from }];
      return [{ kind: 'aside' }];
    }
    case 'save': {
      const output = flags.get('-o')?.[0] ?? flags.get('--output')?.[0];
      const [pipe, ...more] = call.pipedTo;
      const packs = [pipe ?? [], ...more].some(([name = '']) => /^(pigz|gzip)$/.test(name));
      const written = output === undefined ? call.output : resolvePath(call.cwd, output);
      if (written === undefined) return [{ kind: 'aside' }];
      const file = packs && !/gz$/.test(written) ? `${written}.gz` : written;
      return positional.map((reference) => ({ kind: 'save', reference, file }));
    }
    case 'compose':
    case 'stack':
      return second === 'build' || second === 'push'
        ? [{ kind: 'script', words: ['docker', ...rest], cwd: call.cwd }]
        : [{ kind: 'aside' }];
    default:
      return [{ kind: 'aside' }];
  }
}

function readBuild(words: string[], cwd: string): { kind: 'build' } & Build {
  const { flags, positional } = readArguments(words);
  const all = (...names: string[]): string[] => names.flatMap((name) => flags.get(name) ?? []);
  const outputs = all('--output', '-o').join(' ');
  const context = positional.at(-1) ?? '.';
  const url = /^(https?:|git@|ssh:)/.test(context);
  const [file] = all('-f', '--file');
  const [target] = all('--target');
  const named = /\bname=([^,\s"]+(?:,[\w./-]+:[\w.-]+)*)/.exec(outputs)?.[1];
  return {
    kind: 'build',
    tags: [...all('-t', '--tag'), ...(named ? named.split(',') : [])],
    platforms: all('--platform')
      .flatMap((list) => list.split(','))
      .filter((one) => one !== ''),
    args: all('--build-arg').map((arg): [string, string] => {
      const [name = '', ...value] = arg.split('=');
      return [name, value.length > 0 ? value.join('=') : symbol('env', name)];
    }),
    ...optional('dockerfile', file === undefined || file === '-' ? undefined : url ? file : resolvePath(cwd, file)),
    context: url ? context : resolvePath(cwd, context),
    ...optional('target', target),
    secrets: all('--secret').flatMap((text) => /\bid=([^,]+)/.exec(text)?.[1] ?? []),
    pushes: flags.has('--push') || /type=registry|push=true/.test(outputs),
    cwd,
  };
}

function readImagetools(words: string[]): Bare[] {
  const { flags, positional } = readArguments(words);
  const to = [...(flags.get('-t') ?? []), ...(flags.get('--tag') ?? [])];
  if (positional.length === 1) return to.map((one) => ({ kind: 'copy', from: positional[0] ?? '', to: one }));
  return [{ kind: 'join', to, from: positional }];
}

function readGit(words: string[], call: Call): Bare[] {
  if (words[0] === 'clone') {
    const { flags, positional } = readArguments(words.slice(1), ['-t', '-o']);
    const [url = '', folder] = positional;
    const name = posix.basename(url.replace(/\/+$/, '')).replace(/\.git$/, '');
    const ref = (flags.get('-b') ?? flags.get('--branch'))?.[0];
    return [{ kind: 'clone', url, folder: resolvePath(call.cwd, folder ?? name), ...optional('ref', ref) }];
  }
  return [{ kind: 'aside' }];
}

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  const found: { [P in K]?: string } = {};
  if (value !== undefined) found[key] = value;
  return found;
}

// The small interface behind which every engine stands. What an engine can do is data that it reports.
import type { Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import type { Platform } from '../image/platform.ts';

export interface EngineInfo {
  engine: 'docker' | 'buildah' | 'buildkit';
  /** The engine's own version. */
  version: string;
  /** The client program and what it drives: `/usr/bin/docker 20.10.24, BuildKit in the engine`. */
  client: string;
  /** The machine's own platform, as the engine reports it. */
  machine: Platform;
  cpus: number;
  /** What tells it from other engines, and its kernel from the one before; absent where it has no such name. */
  identity?: string;
  /** Platforms that the engine itself found it can run; absent where it doesn't look. */
  platforms?: Platform[];
}

export interface BuildRequest {
  /** Absolute path of the context folder, on the coordinator. */
  context: string;
  /** Text of the (pinned) Dockerfile. */
  dockerfile: string;
  /** Text of the ignore rules that go with it; undefined for the context's own. */
  ignore?: string;
  platform: Platform;
  target?: string;
  args: Record<string, string>;
  labels?: Record<string, string>;
  /** BuildKit secrets: id to the value; handed over by environment, never as an argument. */
  secrets: Record<string, string>;
  /** What the engine names the result, e.g. `127.0.0.1:5000/hysds/base:run-x-amd64`; undefined to keep nothing of it. */
  reference: string | undefined;
  /** The registry that `reference` and pinned upstreams lie in speaks plain HTTP (loopback or so configured). */
  plainHttp: boolean;
  noCache?: boolean;
}

export type OnLine = (line: string) => void;

export type PushOptions = Pick<BuildRequest, 'plainHttp'>;

/** A command for the image `reference` (by digest, fetched if it isn't there): a text for `sh -c`, a list of words as it is. */
export interface RunRequest extends Pick<BuildRequest, 'platform' | 'plainHttp'> {
  reference: string;
  command: string | string[];
}

export interface Engine {
  /** Is it there, what is it, what machine is it on. An absent client or daemon is a failure that names the package to install. */
  probe(signal: AbortSignal): Promise<Result<EngineInfo>>;
  /** Does it still answer? For an engine that says so for less than a probe takes of the cores that it builds on. */
  ping?(signal: AbortSignal): Promise<Result<void>>;
  /** Can the machine run programs of the platform, natively or by binfmt_misc? Found by running a tiny static program in a build. */
  canRun(platform: Platform, signal: AbortSignal): Promise<Result<boolean>>;
  /** Ends when the steps are done; an engine that can't push later may be pushing already, and lets `push` await that. */
  build(request: BuildRequest, onLine: OnLine, signal: AbortSignal): Promise<Result<void>>;
  /** The digest is the engine's word for what it pushed; the caller reads it back from the registry. */
  push(
    reference: string,
    options: PushOptions,
    onLine: OnLine,
    signal: AbortSignal,
  ): Promise<Result<{ digest?: Digest }>>;
  /** Runs a command in a new container, which is gone afterwards; that it ends with another code than 0 is a failure of kind `check`. */
  run(request: RunRequest, onLine: OnLine, signal: AbortSignal): Promise<Result<void>>;
  /** Writes a docker-archive tarball of a built image to a file on the coordinator. */
  export(reference: string, file: string, signal: AbortSignal): Promise<Result<void>>;
  /** Drops the engine's own names for images that a run has made; a name that isn't there is fine. */
  untag(references: string[], signal: AbortSignal): Promise<Result<void>>;
}

// The plan as plain data: what is to be done, in what order; no word on how.
import type { Platform } from '../image/platform.ts';

/** An image reference in a Dockerfile that is replaced, before the build, by the digest that an upstream task made. */
export interface UpstreamPin {
  /** Id of the build task whose result is meant. */
  task: string;
  /** As written after ARG substitution, normalised: `docker.io/hysds/base:develop`. */
  reference: string;
  /** UTF-16 offsets of the written reference in the Dockerfile. */
  range: { start: number; end: number };
}

export interface BuildTask {
  kind: 'build';
  /** `build base linux/arm64`; unique within a plan. */
  id: string;
  image: string;
  platform: Platform;
  mode: 'native' | 'emulated';
  /** In the registry, without its host: `hysds/base`. */
  repository: string;
  /** Folder on the coordinator, absolute. */
  context: string;
  /** Absolute path. */
  dockerfile: string;
  target?: string;
  args: Record<string, string>;
  /** BuildKit secret ids; each value is in the environment variable of that name. */
  secrets: string[];
  upstreams: UpstreamPin[];
  /** Ids of the tasks that must be done first. */
  needs: string[];
  /** Commit of a git source. */
  commit?: string;
}

export interface PublishTask {
  kind: 'publish';
  /** `publish base`. */
  id: string;
  image: string;
  /** In the registry, without its host: `hysds/base`. */
  repository: string;
  /** The build tasks that are joined, one a platform, with the arch tags that each gets. */
  builds: { task: string; platform: Platform; archTags: string[] }[];
  tags: string[];
  needs: string[];
}

export type Task = BuildTask | PublishTask;

export interface Plan {
  version: 1;
  family: string;
  /** `image`: an image's tags move when all its platforms are there; `family`: all tags move at the end or none does. */
  publish: 'image' | 'family';
  tasks: Task[];
}

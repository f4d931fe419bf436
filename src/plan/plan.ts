// The plan as plain data: what is to be done, in what order; no word on how.
import type { AuditConfig, GateConfig } from '../config/config.ts';
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

/** An image of somebody else in a Dockerfile, which is replaced by the digest that its tag has when the run begins. */
export interface ExternalPin {
  /** Normalised: `docker.io/library/debian:12`. */
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
  externals?: ExternalPin[];
  /** Ids of the tasks that must be done first. */
  needs: string[];
  /** Commit of a git source. */
  commit?: string;
}

/** Runs an image's own tests in what was built for one platform, before it is published. */
export interface TestTask {
  kind: 'test';
  /** `test base linux/arm64`. */
  id: string;
  image: string;
  platform: Platform;
  mode: 'native' | 'emulated';
  repository: string;
  /** Id of the build task whose result is tested. */
  build: string;
  /** A text for `sh -c`, a list of words as it is. */
  commands: (string | string[])[];
  needs: string[];
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
  audit: AuditConfig;
  needs: string[];
}

export type Task = BuildTask | TestTask | PublishTask;

export interface Plan {
  version: 1;
  family: string;
  /** `image`: an image's tags move when all its platforms are there; `family`: all tags move at the end or none does. */
  publish: 'image' | 'family';
  /** Of a platform that could not be built: its image is not published, or with that platform's last good one. */
  failedPlatform: 'hold' | 'carry';
  /** Commands that decide on each staged image. */
  gates: GateConfig[];
  tasks: Task[];
}

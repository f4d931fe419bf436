// The config once read, checked and expanded: plain data that the family and the plan start from.
import type { Diagnostic } from '../failure.ts';
import type { Platform } from '../image/platform.ts';
import type { Written } from './schema.ts';

export type SourceConfig =
  /** `path` is absolute. */
  { kind: 'folder'; path: string } | { kind: 'git'; url: string; ref: string; subdir?: string };

export interface ImageConfig {
  name: string;
  /** Without the registry. */
  repository: string;
  source: SourceConfig;
  /** Relative to the source's folder, never to the context: resolve it as `resolve(source, dockerfile)`. */
  dockerfile: string;
  /** Relative to the source's folder. */
  context: string;
  target?: string;
  /** Values are templates: give them to `expandTemplate` for each platform. */
  args: Record<string, string>;
  /** Other images of this config that are built before, besides those that the Dockerfile names. */
  needs: string[];
  platforms: Platform[];
  secrets: string[];
  /** Commands for the image of each platform: a text for `sh -c`, a list of words as it is. */
  test: (string | string[])[];
  audit: AuditConfig;
  mode: 'native' | 'emulated';
  mirror?: string;
  /** Tags of this image, instead of the run's. */
  tags?: string[];
  /** What it is called in the names of CI jobs: letters, digits, `_` and `-`; unique over images and groups. */
  job: string;
  vars: Vars;
  /** See `Vars`. `source` as in the file, absent where that has none; `args` with those of the defaults. */
  written: { repository: string; source?: string; args: Record<string, string> };
}

/** What is done about binaries of another machine in an image's layers. */
export interface AuditConfig {
  mode: 'stop' | 'warn' | 'off';
  /** Globs of absolute paths. */
  allow: string[];
}

/** A command that decides, on the coordinator, whether a staged image may be published. */
export interface GateConfig {
  name: string;
  /** For `sh -c`. */
  run: string;
}

/**
 * The variables that stand in the `written` texts beside it, in the order in which they appear there, with their values. A CI
 * job can have them as parameters.
 *
 * A `written` text is a template in which `${name}` of these variables is left. One whose value differs by what is built
 * (`${arch}` is in it) is not among them: its text is in its place. Of the other names, `${tag}`, `${arch}` and their like
 * are left, as are git's with ReadOptions.git `later`, and all else is expanded. A variable may have the name of one of
 * git's: in a `written` text it is the variable that is meant, in a value it is git's.
 */
export type Vars = Record<string, string>;

/** Images that one script builds for one platform. */
export interface GroupConfig {
  name: string;
  /** As that of an image. */
  job: string;
  images: string[];
  source: SourceConfig;
  /** A template for `expandTemplate`. */
  script: string;
  vars: Vars;
  /** See `Vars`. */
  written: { source?: string; script: string };
}

export interface ExportConfig {
  image: string;
  /** A template for `expandTemplate`. */
  file: string;
  /** Platform whose file has no `${archSuffix}`, as splitbuild writes it. */
  plain?: string;
  deploy?: DeployConfig;
  vars: Vars;
  /** See `Vars`. */
  written: { file: string };
}

export interface DeployConfig {
  /** `owner/repository`. */
  'github-release': string;
}

export interface AssetConfig {
  images: AssetImage[];
  /** Platform whose files have no `-arch`, as splitbuild writes it. */
  plain?: string;
  deploy?: DeployConfig;
}

export interface AssetImage {
  /** Reference; no host or tag is added. */
  image: string;
  /** `name:tag` that it is saved under. */
  as: string;
  /** Name of its file without `-arch` and `.tar.gz`. */
  file: string;
  platforms: Platform[];
}

export interface WorkflowConfig {
  /** With `schedule` and `branch`, it runs on that branch at those times. */
  on?: { branch?: string; tag?: string; schedule?: string };
  /** As written: values are not expanded. */
  vars: Record<string, string>;
  tags?: string[];
  disable?: string[];
  /** Names of images; undefined: all of the exports. */
  exports?: string[];
  /** Names of `Config.assets`. */
  assets: string[];
  /** Names of jobs in `Config.ci`, in one provider's or more. */
  jobs: string[];
  /** It has `tags` of its own or no `jobs`; else it builds no image. */
  builds: boolean;
}

/** Settings by platform, as splitbuild writes it (`linux/arm64`); under `default` for other jobs, `emulated` for those that emulate. */
export type ByMachine<T> = Record<string, T>;

/** As written, without variables. */
export interface CiConfig {
  circleci?: {
    image?: string;
    resourceClass?: ByMachine<string>;
    contexts?: string[];
    deployImage?: string;
    jobs?: Record<string, unknown>;
  };
  github?: {
    /** Labels. */
    runners?: ByMachine<string | string[]>;
    jobs?: Record<string, unknown>;
  };
  gitlab?: {
    image?: string;
    /** Of runners. */
    tags?: ByMachine<string[]>;
    jobs?: Record<string, unknown>;
  };
}

export interface BuilderConfig {
  name: string;
  endpoint: string;
  engine: 'docker' | 'buildah' | 'buildkit';
  platforms?: Platform[];
  slots?: number;
  tls?: { ca?: string; cert?: string; key?: string };
}

export type RegistryConfig = { kind: 'embedded'; listen?: string } | { kind: 'remote'; host: string; prefix?: string };

/**
 * For a run of one workflow (or of none): images that it disables are left out, also where others name them.
 *
 * All texts are final but these, which are templates for `expandTemplate` (template.ts): values of `images[].args`,
 * `groups.*.script`, `exports[].file`. In `archTagSuffix` stands `${arch}`. Tags in `workflows`, which may be for a CI job
 * to come, keep `${gitTag}`, `${branch}` and `${commit}`; those of this run are in `tags`. With ReadOptions.git `later`,
 * those three names stay in any text, final ones too, as the CI run is the first to know them.
 */
export interface Config {
  file: string;
  /** Absolute path of the folder that the file lies in. */
  folder: string;
  family: string;
  platforms: Platform[];
  images: ImageConfig[];
  /** By name, those of which the run builds an image. */
  groups: Record<string, GroupConfig>;
  /** Those that the chosen workflow names, or all. */
  exports: ExportConfig[];
  /** All of the file, by name; workflows name those that they deploy. */
  assets: Record<string, AssetConfig>;
  workflows: Record<string, WorkflowConfig>;
  /** Of the chosen workflow, or of the file; at least one. */
  tags: string[];
  builders: BuilderConfig[];
  registry: RegistryConfig;
  registries: NonNullable<Written['registries']>;
  publish: 'image' | 'family';
  failedPlatform: 'hold' | 'carry';
  gates: GateConfig[];
  chain: 'arch' | 'manifest';
  archTagSuffix: string;
  ci: CiConfig;
  /** Resource class or runner label to the cost of a minute, in a unit of the user's. */
  costs: Record<string, number>;
  /** Problems that stop nothing, in the order of the file. */
  warnings: Diagnostic[];
}

// What an import has found, before it is written as YAML: the parts of a config, each with the lines that it could not express.

/** Something of the pipeline that the config does not say. */
export interface Note {
  /** In the pipeline. */
  line: number;
  text: string;
}

export interface DraftImage {
  name: string;
  job?: string;
  repository: string;
  mirror?: string;
  source?: string;
  context?: string;
  dockerfile?: string;
  target?: string;
  args: Record<string, string>;
  secrets: string[];
  mode?: 'emulated';
  platforms: string[];
  needs: string[];
  tags?: string[];
  vars: Record<string, string>;
  notes: Note[];
}

export interface DraftGroup {
  name: string;
  job?: string;
  images: string[];
  source?: string;
  script: string;
  vars: Record<string, string>;
  notes: Note[];
}

export interface DraftExport {
  image: string;
  file: string;
  plain?: string;
  deploy?: string;
  notes: Note[];
}

export interface DraftAsset {
  name: string;
  images: { image: string; as?: string; file?: string; platforms?: string[] }[];
  plain?: string;
  deploy?: string;
  notes: Note[];
}

export interface DraftWorkflow {
  name: string;
  on: { branch?: string; tag?: string; schedule?: string };
  vars: Record<string, string>;
  /** None: it builds nothing. */
  tags: string[];
  disable: string[];
  /** Undefined: all. */
  exports?: string[];
  assets: string[];
  jobs: string[];
  notes: Note[];
}

export interface DraftCi {
  image?: string;
  deployImage?: string;
  resourceClass: Record<string, string>;
  contexts: string[];
  /** In CircleCI's own words. */
  jobs: Record<string, unknown>;
}

export interface Draft {
  /** Path of the pipeline, for the notes. */
  file: string;
  family: string;
  registry?: string;
  platforms: string[];
  mode?: 'emulated';
  archTagSuffix?: string;
  vars: Record<string, string>;
  images: DraftImage[];
  groups: DraftGroup[];
  exports: DraftExport[];
  assets: DraftAsset[];
  workflows: DraftWorkflow[];
  ci: DraftCi;
  notes: Note[];
}

/** All that the config does not say. */
export function notesOf({ notes, images, groups, exports, assets, workflows }: Draft): Note[] {
  return [...notes, ...[...images, ...groups, ...exports, ...assets, ...workflows].flatMap((one) => one.notes)];
}

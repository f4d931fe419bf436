// The family that the fault lab builds: eight images, four deep, for two platforms; each build is a file or two more.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Platform } from '../../src/image/platform.ts';

/** The image that each is built on. */
export const parents: Readonly<Record<string, string | undefined>> = {
  base: undefined,
  a: 'base',
  b: 'base',
  c: 'a',
  d: 'a',
  e: 'b',
  f: 'c',
  g: 'e',
};
export const images = Object.keys(parents);
export const tag = 'develop';
export const secretName = 'FAULTS_CANARY';

/** The second one is this machine's kin where there is one, so that nothing waits for an emulator. */
export const architectures = process.arch === 'arm64' ? ['arm64', 'amd64'] : ['amd64', '386'];
export const platforms: Platform[] = architectures.map((architecture) => ({ os: 'linux', architecture }));

/** The tags of every image: those that are one unit with `publish: image`. */
export const tags = [tag, ...architectures.map((architecture) => `${tag}-${architecture}`)];

export const repositoryOf = (image: string): string => `faults/${image}`;

export interface FamilyBuilder {
  name: string;
  endpoint: string;
}

const steps: Record<string, string> = {
  // The value goes to the build's output, where it must be masked.
  b: `RUN --mount=type=secret,id=${secretName} ["/bin/busybox", "cat", "/run/secrets/${secretName}"]\n`,
  d: 'RUN ["/bin/busybox", "touch", "/touched"]\n',
};

/** Writes Dockerfiles and contexts; `busybox` is a folder with busybox-<GOARCH> (scripts/busybox.sh). */
export function writeFamily(folder: string, busybox: string): void {
  for (const [image, parent] of Object.entries(parents)) {
    const place = join(folder, image);
    mkdirSync(place, { recursive: true });
    const start = parent
      ? `FROM ${repositoryOf(parent)}:${tag}\n`
      : 'FROM scratch\nARG TARGETARCH\nCOPY busybox-${TARGETARCH} /bin/busybox\nCOPY number /number\n';
    writeFileSync(join(place, 'Dockerfile'), `${start}COPY name /names/${image}\n${steps[image] ?? ''}`);
    writeFileSync(join(place, 'name'), `${image}\n`);
  }
  for (const architecture of architectures) {
    copyFileSync(join(busybox, `busybox-${architecture}`), join(folder, 'base', `busybox-${architecture}`));
  }
}

/** What a schedule changes: the file that makes every image of the family a new one. */
export function writeNumber(folder: string, text: string): void {
  writeFileSync(join(folder, 'base/number'), `${text}\n`);
}

export function writeConfig(
  folder: string,
  options: { registry: string; publish: 'image' | 'family'; builders: FamilyBuilder[] },
): void {
  const builders = options.builders.map(
    ({ name, endpoint }) => `  - { name: ${name}, endpoint: "${endpoint}", slots: 2 }`,
  );
  const entries = images.map((image) => {
    const secrets = image === 'b' ? `, secrets: [${secretName}]` : '';
    return `  ${image}: { repository: ${repositoryOf(image)}, source: ./${image}${secrets} }`;
  });
  const text = [
    'version: 1',
    'family: faults',
    `platforms: [${architectures.map((architecture) => `linux/${architecture}`).join(', ')}]`,
    ...(process.arch === 'arm64' ? ['mode: emulated'] : []),
    `registry: "${options.registry}"`,
    `registries: { "${options.registry}": { plainHttp: true } }`,
    `publish: ${options.publish}`,
    `tags: [${tag}]`,
    'images:',
    ...entries,
    'builders:',
    ...builders,
    '',
  ];
  writeFileSync(join(folder, 'splitbuild.yaml'), text.join('\n'));
}

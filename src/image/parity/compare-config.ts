// Compares what the sides' configs say to the engine: environment, entry point, command, user, ports, labels.
import { architectureWords } from './architecture.ts';
import type { ConfigFact } from './config-facts.ts';
import { type Difference, differ, type Kind, type Side } from './difference.ts';

/** Labels that say when an image was built, by OCI's (annotations.md), label-schema.org's and Red Hat's names. */
const timeLabel = /^(?:org\.opencontainers\.image\.created|org\.label-schema\.build-date|build-date)$/;
/** Labels that say which release an image is of. */
const releaseLabel =
  /^(?:org\.opencontainers\.image\.(?:revision|version|ref\.name|base\.digest)|org\.label-schema\.(?:vcs-ref|version)|vcs-ref|version|release)$/;
/** The base's digest may be that of its platform's own manifest. */
const baseLabel = 'org.opencontainers.image.base.digest';

export function compareConfig(sides: Side[], kind: Kind): Difference[] {
  const facts = new Map<string, Pick<ConfigFact, 'area' | 'name'>>();
  const tables = sides.map(({ config }) => {
    const table = new Map<string, string>();
    for (const { area, name, value } of config) {
      const key = JSON.stringify([area, name]);
      facts.set(key, { area, name });
      table.set(key, value);
    }
    return table;
  });
  const neutral = sides.map(({ platform }) => architectureWords(platform).neutral);
  const differences: Difference[] = [];
  for (const [key, { area, name }] of facts) {
    const values = tables.map((table) => table.get(key));
    if (!differ(values)) continue;
    const plain = values.map((value, index) => (value === undefined ? undefined : neutral[index]?.(value)));
    const reason = differ(plain) || kind === 'releases' ? excuse(area, name, kind) : 'each names its own architecture';
    differences.push({
      area,
      name,
      matters: reason === undefined,
      values,
      ...(reason === undefined ? {} : { reason }),
    });
  }
  return differences;
}

function excuse(area: ConfigFact['area'], name: string, kind: Kind): string | undefined {
  if (area !== 'label') return undefined;
  if (timeLabel.test(name)) return 'the time of the build';
  if (kind === 'releases' && releaseLabel.test(name)) return 'says which release it is';
  return kind === 'platforms' && name === baseLabel ? 'the base’s own manifest of each platform' : undefined;
}

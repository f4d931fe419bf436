// An order of the images in which each comes after what it needs; a circle is told with the place that closes it.
import { type Diagnostic, fail, type Location, ok, type Result } from '../failure.ts';
import type { FamilyImage } from './family.ts';

export function order(images: FamilyImage[]): Result<FamilyImage[]> {
  const byName = new Map(images.map((image) => [image.name, image]));
  const ordered: FamilyImage[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const cycles: Diagnostic[] = [];
  /** From the image that the walk began with to the one that it is at. */
  const path: string[] = [];
  const visit = (image: FamilyImage): void => {
    const seen = state.get(image.name);
    if (seen === 'done') return;
    if (seen === 'open') {
      const cycle = [...path.slice(path.indexOf(image.name)), image.name];
      cycles.push({
        code: 'cycle',
        severity: 'error',
        message: `images depend on each other in a circle: ${cycle.join(' → ')}`,
        ...locationOf(path.at(-1), image.name, byName),
        help: "break it at one of these: a FROM, COPY --from or 'needs'",
      });
      return;
    }
    state.set(image.name, 'open');
    path.push(image.name);
    for (const name of image.upstreams) {
      const upstream = byName.get(name);
      if (upstream) visit(upstream);
    }
    path.pop();
    state.set(image.name, 'done');
    ordered.push(image);
  };
  for (const image of images) visit(image);
  return cycles.length > 0 ? fail({ kind: 'diagnostics', diagnostics: cycles }) : ok(ordered);
}

/** Where one image's Dockerfile names the other; nowhere if it was `needs` that did. */
function locationOf(from: string | undefined, to: string, byName: Map<string, FamilyImage>): { location?: Location } {
  const upstreams = byName.get(from ?? '')?.builds.flatMap((build) => build.upstreams) ?? [];
  const named = upstreams.find((upstream) => upstream.image === to);
  return named ? { location: named.location } : {};
}

// Texts of the config that get their last values once it is known which platform is built. This is the one place of
// that later expansion, and the one that turns the escape `$$` into `$`.

/** What a text may ask for late: `${tag}` and the names of one platform. */
export interface TemplateValues {
  /** First tag of the run: `develop`. */
  tag: string;
  /** `arm64`, `armv7`. */
  arch: string;
  /** `-arm64`. */
  archSuffix: string;
  /** `develop-arm64`. */
  archTag: string;
  /** `linux/arm64`. */
  platform: string;
}

/** The names above, as they are written in the file. */
export const laterNames: ReadonlySet<string> = new Set<keyof TemplateValues>([
  'tag',
  'arch',
  'archSuffix',
  'archTag',
  'platform',
]);

/** What only git knows; where these texts go on to a CI provider's run, the names stay in them. */
export const gitNames: ReadonlySet<string> = new Set(['gitTag', 'branch', 'commit']);

/** `$$`, `${name}`, or a `${` that never closes. */
export const token = /\$\$|\$\{([^{}]*)\}|\$\{/g;

/**
 * Gives a template its values. `$$` becomes `$`, so `$${tag}` is the text `${tag}`; what a value holds is not expanded
 * again; a name that is not among the values stays as it is.
 */
export function expandTemplate(text: string, values: Readonly<Partial<TemplateValues>>): string {
  if (!text.includes('$')) return text;
  const known = new Map<string, string | undefined>(Object.entries(values));
  return text.replace(token, (whole, name: string | undefined) => {
    if (whole === '$$') return '$';
    return name === undefined ? whole : (known.get(name) ?? whole);
  });
}

/** The template that stands for this very text. */
export function escapeTemplate(text: string): string {
  return text.replaceAll('$', '$$$$');
}

/** Whether a template asks for one of these names. */
export function holdsAny(template: string, names: ReadonlySet<string>): boolean {
  return [...template.matchAll(token)].some(([, name]) => name !== undefined && names.has(name));
}

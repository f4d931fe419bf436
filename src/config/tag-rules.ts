// What a tag may look like (OCI distribution-spec: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`).
import type { Problems } from './problems.ts';
import type { Item } from './tree.ts';

export function checkTag({ text, path }: Item, problems: Problems): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(problems.formOf({ text, path }))) return;
  const fixed = text
    .replace(/(\$\{\w+\})|[^A-Za-z0-9_.-]+/g, (_bad, name: string | undefined) => name ?? '-')
    .replace(/^[.-]+/, '')
    .slice(0, 128);
  const rule = 'a tag has letters, digits, _ . and -, at most 128 of them, and begins with none of . and -';
  problems.error('tag', path, `'${text}' can't be a tag`, { help: fixed ? `write '${fixed}': ${rule}` : rule });
}

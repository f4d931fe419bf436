// What a layer's tar says of one file, in the terms of the OCI image-spec: paths from the image's root, whiteouts by what they remove.

export interface LayerEntry {
  /** From the image's root, normalised: `/usr/bin/x`. A whiteout's is what it removes, an opaque marker's the directory that it empties. */
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'whiteout' | 'opaque' | 'other';
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of the file's content, holes of a sparse file included; 0 for all that is no file. */
  size: number;
  /** Of a symlink as it is written; of a hard link the normalised path of the file that it is another name of. */
  linkTarget?: string;
}

/**
 * The path of a tar's name below the image's root. `..` at the root stays there, as in a chroot; nothing of it touches a disk.
 */
export function normalisePath(name: string): string {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

const whiteout = '.wh.';
const opaque = '.wh..wh..opq';

/** What the name of a file means where it marks a removal (image-spec, layer.md#whiteouts); undefined for any other file. */
export function readWhiteout(path: string): Pick<LayerEntry, 'path' | 'type'> | undefined {
  const slash = path.lastIndexOf('/');
  const name = path.slice(slash + 1);
  if (!name.startsWith(whiteout)) return undefined;
  const folder = path.slice(0, slash);
  if (name === opaque) return { path: folder || '/', type: 'opaque' };
  // Other names that begin so are AUFS's own files; engines skip them.
  if (name.startsWith(`${whiteout}${whiteout}`) || name === whiteout) return { path, type: 'other' };
  return { path: `${folder}/${name.slice(whiteout.length)}`, type: 'whiteout' };
}

/** GNU's continuation of another volume, a volume's label, and its listing of a directory. */
const others = new Set(['M', 'V', 'D', 'N']);

/** What a tar's entry is in an image, by its type flag; undefined for what is no file of it. `path` is normalised. */
export function describeEntry(
  flag: string,
  path: string,
  header: { mode: number; uid: number; gid: number; linkName: string },
  size: number,
): LayerEntry | undefined {
  const { mode, uid, gid, linkName } = header;
  const of = (type: LayerEntry['type'], more: Partial<LayerEntry> = {}): LayerEntry => ({
    path,
    type,
    mode,
    uid,
    gid,
    size: 0,
    ...more,
  });
  if (others.has(flag)) return undefined;
  const removal = readWhiteout(path);
  if (removal !== undefined && flag !== '5') return of(removal.type, { path: removal.path });
  switch (flag) {
    case '0':
    case '7':
    case 'S':
      return of('file', { size });
    case '1':
      return of('hardlink', { linkTarget: normalisePath(linkName) });
    case '2':
      return of('symlink', { linkTarget: linkName });
    case '5':
      return of('directory');
    default:
      return of('other');
  }
}

/** A path for messages: characters that would move a terminal's cursor, or break a line, are written as `\\x1b`. */
export function printable(path: string): string {
  return path.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

// The way from one folder to a path, of which a large family asks tens of thousands of times.
import { relative, sep } from 'node:path';

/** What node's `relative` says of two absolute paths without `.` and `..`, which it takes apart even where one lies in the other. */
export function relativePath(folder: string, path: string): string {
  return path.startsWith(folder) && path[folder.length] === sep && !folder.endsWith(sep)
    ? path.slice(folder.length + 1)
    : relative(folder, path);
}

// What the package databases of dpkg, apk and rpm have in common: which package is installed, in which version.
import { type Failure, fail, type Result } from '../../failure.ts';

export interface InstalledPackage {
  name: string;
  /** As the package manager itself prints it: `1:2.3-4+b1` (dpkg), `1.2.5-r0` (apk), `1:2.0-3.el9` (rpm). */
  version: string;
  /** The package manager's word: `amd64`, `all`, `x86_64`, `noarch`; undefined where the database has none (rpm's keys). */
  architecture: string | undefined;
  /** Paths from the image's root that it has put there; none of dpkg's, which keeps them in lists apart. */
  files: string[];
}

/** A database that can't be read is a failure: "no packages" would be taken for an answer. `format` is `dpkg`, `rpm (ndb)` … */
export function unreadable(format: string, what: string): Result<never> {
  return fail(unreadableFailure(format, what));
}

export function unreadableFailure(format: string, what: string): Failure {
  return {
    kind: 'verification',
    // What is wrong may be quoted from the image, and must not speak to the terminal.
    message: `the package database (${format}) can't be read: ${what.replace(/\p{Cc}/gu, '·')}`,
    help: 'look at it with the package manager inside of the image; if that reads it, this is a fault of splitbuild',
  };
}

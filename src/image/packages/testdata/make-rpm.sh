#!/bin/bash
# Makes the rpm databases here with rpm itself (Debian: rpm, db-util, sqlite3): make-rpm.sh [RPM-WITH-NDB]. Debian's rpm is built without
# ndb, so that file is made by an rpm that was configured with --enable-ndb, where one is named. rpm-qa.txt and
# rpm-qal.txt are what rpm says of them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ndb=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

package() { # name version release epoch architecture length-of-its-description
  {
    printf 'Name: %s\nVersion: %s\nRelease: %s\n' "$1" "$2" "$3"
    [ -z "$4" ] || printf 'Epoch: %s\n' "$4"
    [ "$5" != noarch ] || printf 'BuildArch: noarch\n'
    printf 'Summary: Made for a test\nLicense: MIT\n%%description\n'
    head -c "$6" /dev/zero | tr '\0' x | fold -w 70
    printf '\n%%install\nmkdir -p %%{buildroot}/opt/%s\ntouch %%{buildroot}/opt/%s/run %%{buildroot}/opt/%s.conf\n' "$1" "$1" "$1"
    printf '%%files\n/opt/%s\n/opt/%s.conf\n' "$1" "$1"
  } > "$1.spec"
  rpmbuild -bb --quiet --target "$5" --define "_topdir $work/top" "$1.spec" > log 2>&1 || { cat log; exit 1; }
}
package tools 2.0 3 1 noarch 100
package engine 1.4.2 7.el9 '' aarch64 9000 # longer than a page of any of the formats
package base 10 '1~rc1' 0 aarch64 200
package gone 1 1 '' noarch 10 # installed and removed again

fill() { # rpm folder
  mkdir "$2"
  "$1" --dbpath "$work/$2" --initdb 2> /dev/null
  "$1" --dbpath "$work/$2" -i --justdb --nodeps --ignorearch --nosignature top/RPMS/*/*.rpm 2> /dev/null
  "$1" --dbpath "$work/$2" -e --justdb --nodeps gone 2> /dev/null
}
list() { "$@" -qa --qf '%{NAME} %{EVR} %{ARCH}\n' 2> /dev/null | sort; }
fill rpm sqlite
list rpm --dbpath "$work/sqlite" > rpm-qa.txt
rpm --dbpath "$work/sqlite" -qal 2> /dev/null | sort > rpm-qal.txt
sqlite3 sqlite/rpmdb.sqlite 'PRAGMA journal_mode = DELETE' > /dev/null

# Debian's rpm reads Berkeley DB, but writes none: db_load does. A key is the header's number as the machine writes it, key 0 the last number.
dump() { # printf's order of a number's bytes: little or big
  number() { if [ "$1" = little ]; then printf '%02x000000' "$2"; else printf '000000%02x' "$2"; fi; }
  printf 'VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END\n %s\n %s\n' "$(number "$1" 0)" "$(number "$1" 9)"
  sqlite3 sqlite/rpmdb.sqlite 'SELECT hnum, lower(hex(blob)) FROM Packages' | while IFS='|' read -r key blob; do
    printf ' %s\n %s\n' "$(number "$1" "$key")" "$blob"
  done
  printf 'DATA=END\n'
}
mkdir bdb
dump little | db_load -c db_lorder=1234 bdb/Packages
dump big | db_load -c db_lorder=4321 bdb/Packages-big-endian
diff rpm-qa.txt <(list rpm --define '_db_backend bdb_ro' --dbpath "$work/bdb")

gzip -9nc sqlite/rpmdb.sqlite > "$here/rpmdb.sqlite.gz"
gzip -9nc bdb/Packages > "$here/Packages.gz"
gzip -9nc bdb/Packages-big-endian > "$here/Packages-big-endian.gz"
if [ -n "$ndb" ]; then
  fill "$ndb" ndb
  diff rpm-qa.txt <(list "$ndb" --dbpath "$work/ndb")
  gzip -9nc ndb/Packages.db > "$here/Packages.db.gz"
fi
cp rpm-qa.txt rpm-qal.txt "$here"

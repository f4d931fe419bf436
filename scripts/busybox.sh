#!/bin/bash
# Fetches Debian's busybox-static of amd64, i386 and arm64 into a folder, as busybox-<GOARCH>: busybox.sh FOLDER
# The only thing that the example's images are made from. apt keeps lists of its own for each architecture: the system's are not touched.
set -euo pipefail
folder=$(mkdir -p "${1:?folder}" && cd "$1" && pwd)
cache=$(cd "$(dirname "$0")/.." && pwd)/.cache/busybox
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")

for pair in amd64:amd64 i386:386 arm64:arm64; do
  debian=${pair%%:*} go=${pair##*:}
  if [ ! -x "$cache/busybox-$go" ]; then
    echo "Fetching busybox-static for $debian ($codename)" >&2
    work=$(mktemp -d)
    mkdir -p "$work/lists/partial" "$work/archives/partial" "$cache"
    options=(-qq -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o "APT::Architecture=$debian"
      -o "APT::Architectures=$debian" -o APT::Sandbox::User=root)
    # A mirror that is being updated fails some of the lists; the download says whether those that came are enough.
    apt-get "${options[@]}" update > "$work/log" 2>&1 || true
    if ! (cd "$work" && apt-get "${options[@]}" download busybox-static && dpkg-deb -x busybox-static_*.deb files) >> "$work/log" 2>&1; then
      cat "$work/log" >&2
      exit 1
    fi
    mv "$work/files/bin/busybox" "$cache/.busybox-$go"
    chmod 755 "$cache/.busybox-$go"
    mv "$cache/.busybox-$go" "$cache/busybox-$go"
    rm -rf "$work"
  fi
  cmp -s "$cache/busybox-$go" "$folder/busybox-$go" || cp "$cache/busybox-$go" "$folder/busybox-$go"
done

#!/bin/bash
# Debian's gcc 12 of an architecture as a root filesystem, its packages unpacked and nothing of them run: toolchain.sh GOARCH FOLDER
# apt keeps lists of its own for each architecture: the system's are not touched.
set -euo pipefail
architecture=$1 folder=$2
cache=$(cd "$(dirname "$0")/.." && pwd)/.cache/toolchain/$architecture
if [ ! -e "$cache/done" ]; then
  mkdir -p "$cache/lists/partial" "$cache/archives/partial"
  : > "$cache/status"
  options=(-qq -o "Dir::State::Lists=$cache/lists" -o "Dir::State::Status=$cache/status" -o "Dir::Cache::Archives=$cache/archives"
    -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update > "$cache/log" 2>&1 || true
  apt-get "${options[@]}" install -y --download-only --no-install-recommends gcc-12 libc6-dev binutils >> "$cache/log" 2>&1 \
    || { tail -n 5 "$cache/log" >&2; exit 1; }
  touch "$cache/done"
fi
mkdir -p "$folder/root"
for package in "$cache"/archives/*.deb; do dpkg-deb -x "$package" "$folder/root"; done

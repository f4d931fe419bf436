#!/bin/bash
# Installs the programs that the benchmark compares with, and the registry that it has them work with, as a person would: Debian's packages
# with apt, the others where Go is, at the versions of bench/peers.json, into .cache/bin. One that can't be had is said, and the benchmark
# says so in its place.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }

# gcc is what the build that is compared with its emulation compiles with, runc what BuildKit runs steps by.
missing=()
for pair in skopeo:skopeo buildah:buildah docker:docker.io docker-registry:docker-registry gcc:gcc runc:runc pigz:pigz; do
  command -v "${pair%%:*}" > /dev/null || missing+=("${pair#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "Installing Debian packages: ${missing[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null 2>&1 < /dev/null \
    || say "apt-get could not install all of them: what is compared with them is left out"
fi

if ! command -v go > /dev/null; then
  say "There is no Go here: peers that are built with it are left out."
  exit 0
fi
mkdir -p .cache/bin
while IFS=$'\t' read -r name module; do
  version=${module##*@}
  if [ -x ".cache/bin/$name" ] && go version -m ".cache/bin/$name" | grep -q "^	mod	[^	]*	$version\b"; then continue; fi
  say "Building $name (go install $module)"
  log=$(mktemp)
  # Static: buildkitd and runc's users run on any host.
  CGO_ENABLED=0 GOBIN="$PWD/.cache/bin" timeout 900 go install "$module" > "$log" 2>&1 \
    || say "$name could not be built, and is left out: $(tail -n 1 "$log")"
  rm -f "$log"
done < <(node -e 'for (const [name, module] of Object.entries(JSON.parse(require("fs").readFileSync("bench/peers.json", "utf8")))) console.log(`${name}\t${module}`)')

#!/bin/bash
# Installs what the demo or the lab needs and is not there, saying what: setup.sh demo|lab
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:?demo or lab}

# The package a program is in.
declare -A package=(
  [dockerd]=docker.io [qemu-aarch64-static]=qemu-user-static [update-binfmts]=binfmt-support [ip]=iproute2 [dpkg-deb]=dpkg
  [buildah]=buildah [skopeo]=skopeo [sshd]=openssh-server [ssh]=openssh-client [docker-registry]=docker-registry
  [iptables]=iptables [openssl]=openssl [rsync]=rsync [git]=git [nsenter]=util-linux [zstd]=zstd
  [readelf]=binutils [runc]=runc
)
programs=(dockerd qemu-aarch64-static update-binfmts ip)
if [ "$what" = lab ]; then programs+=(buildah skopeo ssh sshd docker-registry git nsenter iptables openssl rsync zstd readelf runc); fi

PATH=$PATH:/usr/sbin:/sbin
missing=()
for program in "${programs[@]}"; do
  command -v "$program" > /dev/null || missing+=("${package[$program]}")
done

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "Not installed, and not installable here without root and apt: ${missing[*]}" >&2
    exit 3
  fi
  echo "Installing Debian packages: ${missing[*]}" >&2
  # Installed is not started: what runs is what the demo and the tests start themselves.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod +x $policy
    trap 'rm -f $policy' EXIT
  fi
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" ca-certificates; } > "$log" 2>&1 < /dev/null; then
    tail -n 20 "$log" >&2
    echo "apt-get failed (its log: $log)" >&2
    exit 3
  fi
  rm -f "$log"
fi

# npm's own packages: the versions of the lock file, Node 24 among them.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "Installing npm packages (npm ci)" >&2
  npm ci --no-audit --no-fund --loglevel=error >&2
fi

# act runs GitHub's workflows, buildx joins images at the registry, and BuildKit is a builder by itself: they are built where Go is; without
# it those tests are not there.
if [ "$what" = lab ] && command -v go > /dev/null; then
  modules=(github.com/nektos/act@v0.2.89)
  for name in buildx buildkitd buildctl; do
    modules+=("$(node -e 'console.log(JSON.parse(require("fs").readFileSync("bench/peers.json", "utf8"))[process.argv[1]])' "$name")")
  done
  for module in "${modules[@]}"; do
    name=$(basename "${module%@*}")
    if [ -x ".cache/bin/$name" ]; then continue; fi
    echo "Building $name (go install $module)" >&2
    CGO_ENABLED=0 GOBIN="$PWD/.cache/bin" timeout 600 go install "$module" > /dev/null 2>&1 \
      || echo "$name could not be built: what is tested with it is not tested here" >&2
  done
fi

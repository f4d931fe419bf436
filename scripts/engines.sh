# Sourced: start_engine and start_registry start what a script needs under $work, and leaving the script, however that happens, ends it all.
. scripts/emulation.sh

work=$(mktemp -d /var/tmp/splitbuild.XXXXXX)
bridges=()
pids=()

finish() {
  local code=$?
  trap - EXIT
  for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
  for pid in "${pids[@]}"; do
    for _ in $(seq 100); do kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2> /dev/null || true
  done
  for bridge in "${bridges[@]}"; do ip link delete "$bridge" 2> /dev/null || true; done
  emulation_off || true
  { findmnt -rno TARGET | grep "^$work/" | sort -r | xargs -r umount; } 2> /dev/null || true
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# start_engine NAME SUBNET: a Docker Engine with its own folders and its own bridge, on $work/NAME/docker.sock.
start_engine() {
  local name=$1 subnet=$2 folder=$work/$1 bridge=sb-$1
  mkdir -p "$folder"
  ip link delete "$bridge" 2> /dev/null || true
  ip link add "$bridge" type bridge
  bridges+=("$bridge")
  ip address add "$subnet.1/24" dev "$bridge"
  ip link set "$bridge" up
  # A session of its own: a Ctrl-C in the terminal is for the demo, which then stops the engine.
  setsid dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" --host "unix://$folder/docker.sock" \
    --bridge "$bridge" --iptables=false --ip-masq=false > "$folder/log" 2>&1 &
  pids+=($!)
  for _ in $(seq 300); do
    if [ -S "$folder/docker.sock" ] && /usr/bin/env docker --host "unix://$folder/docker.sock" version > /dev/null 2>&1; then return; fi
    kill -0 "${pids[-1]}" 2> /dev/null || break
    sleep 0.1
  done
  say "dockerd did not start:"
  tail -n 15 "$folder/log" >&2
  exit 3
}

# start_registry PORT: Debian's docker-registry on the loopback.
start_registry() {
  local folder=$work/registry
  mkdir -p "$folder"
  printf 'version: 0.1\nlog: { level: error }\nstorage: { filesystem: { rootdirectory: %s/data } }\nhttp: { addr: "127.0.0.1:%s" }\n' \
    "$folder" "$1" > "$folder/config.yml"
  setsid docker-registry serve "$folder/config.yml" > "$folder/log" 2>&1 &
  pids+=($!)
  for _ in $(seq 100); do
    if (: < "/dev/tcp/127.0.0.1/$1") 2> /dev/null; then return; fi
    sleep 0.1
  done
  say "docker-registry did not start:"
  tail -n 15 "$folder/log" >&2
  exit 3
}
